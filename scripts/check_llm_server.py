"""Has `squbed refine` and `squbed run` ask a real OpenAI-compatible server on this machine: llama.cpp's.

    pip install 'llama-cpp-python[server]'
    python scripts/check_llm_server.py --program target/release/squbed --model MODEL.gguf

Starts the server on a free port of the loopback with a key, refines two prompts through it, and checks that each has as many
different latent prompts as asked for, that the record names model, temperature and seed, that the key stands in no file,
and that a wrong key and a dead server are told. Ends with 0 if all holds.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

arguments = argparse.ArgumentParser()
arguments.add_argument("--program", required=True)
arguments.add_argument("--model", required=True, help="a GGUF file")
arguments.add_argument("--latents", type=int, default=4)
given = arguments.parse_args()
KEY = "loopback-key-4711"

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
address = f"http://127.0.0.1:{port}/v1"


def refine(folder, *more, key=KEY):
    command = [given.program, "refine", folder / "tasks.jsonl", "--refiner", "server", "--server", address, "--llm", "small",
               "-n", str(given.latents), "--seed", "1", "--out", folder / "out/tasks.jsonl", *more]  # fmt: skip
    environment = os.environ | {"OPENAI_API_KEY": key}
    begin = time.monotonic()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stderr, time.monotonic() - begin


def wait(server):
    """Until the server answers."""
    request = urllib.request.Request(f"{address}/models", headers={"Authorization": f"Bearer {KEY}"})
    for _ in range(240):
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except OSError:
            time.sleep(0.5)
    sys.exit("the server does not answer")


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    prompts = ["a cat doing something", "a person cooks dinner"]
    (folder / "tasks.jsonl").write_text("".join(json.dumps({"id": f"t{i}", "prompt": p}) + "\n" for i, p in enumerate(prompts)))
    command = [sys.executable, "-m", "llama_cpp.server", "--model", given.model, "--model_alias", "small",
               "--host", "127.0.0.1", "--port", str(port), "--api_key", KEY, "--n_ctx", "2048", "--n_threads", "2"]  # fmt: skip
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        print("models of the server:", [model["id"] for model in wait(server)["data"]])
        code, message, _ = refine(folder, key="wrong")
        assert code == 1 and "401" in message and "wrong" not in message.split(), message
        print("a wrong key:", message.splitlines()[0])
        code, message, seconds = refine(folder)
        assert code in (0, 3), message
        print(f"refined in {seconds:.1f} s, exit code {code}")
        rows = [json.loads(line) for line in (folder / "out/refinement.jsonl").read_text().splitlines()]
        assert [row["id"] for row in rows] == ["t0", "t1"], rows
        for row in rows:
            print(f"{row['prompt']}: {len(row.get('rejected', []))} rejected")
            for latent in row["prompts"]:
                print(f"    {latent}")
            assert len(set(row["prompts"])) == given.latents, row
        record = json.loads((folder / "out/refiner.json").read_text())
        print({name: record[name] for name in ["refiner", "judge", "seed"] if name in record})
        assert "small" in record["refiner"] and record["seed"] == 1, record
        held = [path for path in (folder / "out").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
        assert not held, held
    finally:
        server.terminate()
        server.wait()
    (folder / "out/refinement.jsonl").unlink()
    code, message, seconds = refine(folder, "--timeout", "5")
    assert code == 1 and address.split("/")[2] in message, message
    print(f"a dead server, after {seconds:.1f} s:", message.splitlines()[0])
