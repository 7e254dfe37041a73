#!/usr/bin/env bash
# Shows that the program builds on a machine without network as the README of `squbed models bundle` says:
#
#   scripts/vendored_build.sh [ARGS…]      ARGS of cargo; `check --locked --offline -p squbed-cli` where none are given
#
# Vendors the committed sources (network is needed for that alone), packs and unpacks them, and lets cargo build there with
# an empty CARGO_HOME, in a network namespace without any device where the system grants one (`unshare -rn`), offline in
# any case. Takes some 5 GB below $TMPDIR for the time being, and prints what each step took. Exit code: cargo's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -gt 0 ] || set -- check --locked --offline -p squbed-cli

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step() { echo "$1: $SECONDS s"; SECONDS=0; }

mkdir "$work/with-network" "$work/without" "$work/cargo-home"
git -C "$here" archive HEAD | tar x -C "$work/with-network"
cd "$work/with-network"
# Not --quiet, which leaves out what is to be written into the configuration.
cargo vendor --locked vendor > vendor.toml 2> vendor.log || { cat vendor.log >&2; exit 1; }
cat vendor.toml >> .cargo/config.toml
step "cargo vendor ($(du -sm vendor | cut -f1) MB, $(find vendor -mindepth 1 -maxdepth 1 | wc -l) crates)"
tar czf "$work/squbed-vendored.tar.gz" .
step "packed ($(du -sm "$work/squbed-vendored.tar.gz" | cut -f1) MB)"
rm -rf "$work/with-network"

cd "$work/without"
tar xzf "$work/squbed-vendored.tar.gz"
# The compiler stays where it is; of cargo's own folder nothing is left.
export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_HOME="$work/cargo-home" CARGO_NET_OFFLINE=true
export CARGO_TARGET_DIR="$work/target"
cut=()
if unshare -rn true 2> "$work/unshare"; then
    cut=(unshare -rn)
else
    echo "no network namespace ($(cat "$work/unshare")): cargo is offline by its own word alone"
fi
"${cut[@]}" cargo "$@"
step "cargo $*, without network"
if [ -d "$work/cargo-home/registry" ]; then
    echo "error: cargo filled its registry, so something was not vendored" >&2
    exit 1
fi
