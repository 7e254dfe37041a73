"""Tokens a second of the small language model, beside llama.cpp on the same file, in turn.

    pip install llama-cpp-python          # from source, so that it is compiled for this processor
    cargo build --release -p squbed-models --example llm_speed
    python scripts/bench_llm.py --program target/release/examples/llm_speed --model MODEL.gguf [--json FILE]

Each round runs one after the other: a prompt of some 200 tokens read at once, then an answer of 64 tokens drawn one by one.
Medians over the rounds are printed with the least and the greatest. squbed also draws ten answers at once, as a refinement
does; llama.cpp's Python package has no such call, so its ten are ten times one.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import time

import llama_cpp

arguments = argparse.ArgumentParser()
arguments.add_argument("--program", required=True)
arguments.add_argument("--model", required=True)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--tokens", type=int, default=64)
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--json")
given = arguments.parse_args()

PROMPT = "Write a long story about a cat that walks through a town at night. " * 12
model = llama_cpp.Llama(given.model, n_ctx=2048, n_threads=given.threads, n_threads_batch=given.threads, verbose=False)
message = f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
prompt = model.tokenize(message.encode(), special=True)


def peer():
    """Tokens a second of reading the prompt and of one answer."""
    model.reset()
    begin = time.perf_counter()
    model.eval(prompt)
    token = model.sample(temp=1.0)
    read = time.perf_counter() - begin
    begin = time.perf_counter()
    for _ in range(given.tokens):
        model.eval([token])
        token = model.sample(temp=1.0, top_p=0.95, min_p=0.05)
    return {"prompt": len(prompt) / read, "answer": given.tokens / (time.perf_counter() - begin)}


def own():
    """The same of squbed, the last of its own rounds, when all is warm."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(given.threads)}
    ended = subprocess.run([given.program, given.model, "quantised", str(given.tokens)],
                           env=environment, check=True, capture_output=True, text=True)  # fmt: skip
    last = ended.stdout.splitlines()[-1]
    read, one, ten = (float(x) for x in re.findall(r"([\d.]+) tokens/s", last))
    return {"prompt": read, "answer": one, "ten answers": ten}


peer()
rounds = [{"squbed": own(), "llama.cpp": peer()} for _ in range(given.rounds)]
result = {"model": os.path.basename(given.model), "threads": given.threads, "prompt_tokens": len(prompt),
          "tokens": given.tokens, "machine": platform.machine(),
          "llama_cpp_python": importlib.metadata.version("llama-cpp-python"), "tokens_a_second": {}, "ratio": {}}  # fmt: skip
for who in rounds[0]:
    for what in rounds[0][who]:
        values = sorted(turn[who][what] for turn in rounds)
        figures = {"median": statistics.median(values), "least": values[0], "greatest": values[-1]}
        result["tokens_a_second"][f"{who}, {what}"] = {name: round(value, 1) for name, value in figures.items()}
        print(f"{who:10} {what:12} {figures['median']:8.1f} tokens/s ({values[0]:.1f} to {values[-1]:.1f})")
for what, against in [("prompt", "prompt"), ("answer", "answer"), ("ten answers", "answer")]:
    ratios = sorted(turn["squbed"][what] / turn["llama.cpp"][against] for turn in rounds)
    result["ratio"][what] = [round(value, 3) for value in (statistics.median(ratios), ratios[0], ratios[-1])]
    print(f"ratio of {what}: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
if given.json:
    with open(given.json, "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
