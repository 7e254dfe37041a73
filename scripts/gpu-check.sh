#!/usr/bin/env bash
# Takes prebuilt programs to a machine with a CUDA GPU and checks them there: no cargo, no FFmpeg, no network.
#
#   scripts/gpu-check.sh --pack BINARY_DIR FILE.tar.gz    here: programs, goldens and these scripts in one archive
#   scripts/gpu-check.sh BINARY_DIR OUT [ARGS…]           there, in the unpacked archive (BINARY_DIR is `bin`) or a clone
#
# BINARY_DIR holds `squbed` or `squbed-cuda` and `squbed-gpu-check`, built with the feature `cudnn`:
#   cargo build --release --no-default-features --features cudnn -p squbed-cli -p squbed-tests
# ARGS go to squbed-gpu-check: --device cuda:1, --models DIR for real weights, --only NAME.
# Writes devices.json and parity.json into OUT. Exit codes: 0 all within their tolerances, 1 a miss, 2 not run.
# CUDA's libraries are those of the system, else those of the packages nvidia-* of `$PYTHON` (default python3), as PyTorch
# brings them. Speed is measured by scripts/bench_gpu.py beside it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 2
}

usage() { fail "$1" "scripts/gpu-check.sh BINARY_DIR OUT [ARGS…], or scripts/gpu-check.sh --pack BINARY_DIR FILE.tar.gz"; }

pack() {
    local stage
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT
    mkdir -p "$stage/bin" "$stage/scripts" "$stage/tests/golden"
    cp "$squbed" "$check" "$stage/bin/"
    cp "$here"/scripts/{gpu-check.sh,bench_gpu.py,bench_peers.py} "$stage/scripts/"
    cp -r "$here"/tests/golden/{encoders,metrics} "$stage/tests/golden/"
    tar -C "$stage" -czf "$1" bin scripts tests
    ls -l "$1"
}

# The first of these names that the folder has.
program() {
    for name in "$@"; do
        [ ! -x "$binaries/$name" ] || { echo "$binaries/$name"; return; }
    done
    fail "$binaries has no $1" "cargo build --release --no-default-features --features cudnn -p squbed-cli -p squbed-tests"
}

# Libraries that the loader does not find for a program.
missing() { ldd "$1" | awk '/not found/ {print $1}' | sort -u | tr '\n' ' '; }

# Adds the folders of the packages nvidia-* of Python to the loader's.
python_libraries() {
    local found
    found=$("${PYTHON:-python3}" - <<'PYTHON' || true
import glob, os, site, sys
roots = dict.fromkeys([*site.getsitepackages(), site.getusersitepackages(), *sys.path])
print(":".join(folder for root in roots for folder in sorted(glob.glob(os.path.join(root, "nvidia/*/lib")))))
PYTHON
    )
    export LD_LIBRARY_PATH="$found${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

[ $# -ge 2 ] || usage "two arguments at least are needed"
packing=
if [ "$1" = --pack ]; then
    [ $# -eq 3 ] || usage "--pack takes two arguments"
    packing=1
    shift
fi
[ -d "$1" ] || usage "there is no folder $1"
binaries=$(cd "$1" && pwd)
check=$(program squbed-gpu-check)
squbed=$(program squbed-cuda squbed)
if [ -n "$packing" ]; then
    pack "$2"
    exit
fi
out=$2
shift 2
mkdir -p "$out"

lacking=$(missing "$check")
if [ -n "$lacking" ]; then
    python_libraries
    lacking=$(missing "$check")
    [ -z "$lacking" ] || fail "the loader does not find $lacking" "install CUDA 13 and cuDNN 9, or pip's torch, whose folders nvidia/*/lib are looked through; libcuda comes with NVIDIA's driver; then set LD_LIBRARY_PATH where they are elsewhere"
fi

nvidia-smi --query-gpu=index,name,driver_version,memory.total --format=csv,noheader || echo "nvidia-smi does not answer"
echo "LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}"
"$squbed" devices
"$squbed" devices --format json >"$out/devices.json"
# The last of two options of one name counts in neither program, so ours gives way.
device=(--device cuda:0)
for argument in "$@"; do
    case $argument in --device | --device=*) device=() ;; esac
done
"$check" "${device[@]}" --goldens "$here/tests/golden" --json "$out/parity.json" "$@"
