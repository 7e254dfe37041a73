#!/usr/bin/env python3
"""The part of CLIP's byte-pair vocabulary that the texts of clip_tokenizer.json can meet, with its true ids:
clip_vocab.json and clip_merges.txt in tests/golden/encoders. Standard library only.

  python scripts/golden_clip_vocabulary.py bpe_simple_vocab_16e6.txt.gz

The vocabulary is OpenAI's (MIT); the package open_clip_torch 3.3.0 carries it, sha256 924691ac288e5440....
A merge is kept if what it gives occurs in a text, so that each text is cut as with the whole vocabulary.
"""
import gzip
import json
import pathlib
import sys
import unicodedata

GOLDEN = pathlib.Path(__file__).parent.parent / "tests/golden/encoders"
printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
others = [b for b in range(256) if b not in printing]
byte = {b: chr(b) for b in printing} | {b: chr(256 + n) for n, b in enumerate(others)}

lines = gzip.open(sys.argv[1]).read().decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
letters = [byte[b] for b in printing + others]
tokens = letters + [c + "</w>" for c in letters] + [line.replace(" ", "") for line in lines]
tokens += ["<|startoftext|>", "<|endoftext|>"]
assert len(set(tokens)) == 49408

texts = [case["text"] for case in json.loads((GOLDEN / "clip_tokenizer.json").read_text())["cases"]]
texts = ["".join(byte[b] for b in unicodedata.normalize("NFC", t).lower().encode()) for t in texts]
kept = [line for line in lines if any(line.replace(" ", "").removesuffix("</w>") in t for t in texts)]
wanted = set(tokens[:512]) | set(tokens[-2:]) | {line.replace(" ", "") for line in kept}
vocab = {token: i for i, token in enumerate(tokens) if token in wanted}
(GOLDEN / "clip_vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, separators=(",", ":")) + "\n")
(GOLDEN / "clip_merges.txt").write_text("#version: 0.2\n" + "\n".join(kept) + "\n")
