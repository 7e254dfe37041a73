#!/usr/bin/env python3
"""Whether `datasets` loads, offline, what `squbed dataset export` writes.

    python3 -m venv V && V/bin/pip install datasets
    V/bin/python scripts/check_exports.py SQUBED

SQUBED is the program. Tasks are made of the videos under tests/golden/video/made, exported as a VideoFolder and as
WebDataset archives, and loaded by PyPI's `datasets` without network; each row is compared with what was exported, bytes
of videos included. Exit code 1 and a message on the first difference.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"

MADE = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/video/made"
# Ids and prompts that have misled readers: names of splits, quotes, bars, other scripts.
IDS = ["test", "val/1", "träin"]


def tasks(folder):
    clips = ["h264-bframes.mp4", "mpeg4-bframes.mp4", "trimmed.mp4", "odd.mp4"]
    rows = []
    for i, name in enumerate(IDS):
        latents = [
            {"prompt": f"a grey “cat” {k} | {i}", "videos": [str(MADE / clips[k]), str(MADE / clips[k + 1])]}
            for k in range(2)
        ]
        row = {"id": name, "prompt": f"a cat, {i}", "category": "animals", "latents": latents}
        if i != 1:
            row["ground_truth"] = str(MADE / "odd.mp4")
        rows.append(row)
    path = folder / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path, rows


def expected(rows):
    clips = []
    for row in rows:
        if "ground_truth" in row:
            clips.append((row["id"], "ground_truth", None, None, row["ground_truth"]))
        for l, latent in enumerate(row["latents"]):
            for s, video in enumerate(latent["videos"]):
                clips.append((row["id"], "generated", l, s, video))
    return clips


def check(rows, clips, form):
    assert len(rows) == len(clips), f"{form}: {len(rows)} rows for {len(clips)} clips"
    found = {(r["task"], r["kind"], r["latent"], r["sample"]): r for r in rows}
    for task, kind, latent, sample, video in clips:
        row = found.get((task, kind, latent, sample))
        assert row is not None, f"{form}: no row for {task} {kind} {latent} {sample}"
        there = row["bytes"] or pathlib.Path(row["path"]).read_bytes()
        assert there == pathlib.Path(video).read_bytes(), f"{form}: other bytes for {task} {kind} {latent} {sample}"
        assert len(row["digest"]) == 64 and row["category"] == "animals", row
        if kind == "generated":
            assert row["latent_prompt"].startswith(f"a grey “cat” {latent}"), row


def main():
    squbed = pathlib.Path(sys.argv[1]).resolve()
    import datasets

    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        listed, rows = tasks(home)
        clips = expected(rows)
        cache = str(home / "cache")
        for form in ["video-folder", "webdataset"]:
            out = home / form
            words = ["dataset", "export", listed, "--form", form, "--license", "cc-by-4.0", "--clips-per-shard", "5"]
            subprocess.run([squbed, *words, "--out", out], check=True, stdout=subprocess.DEVNULL)
            if form == "video-folder":
                loaded = datasets.load_dataset("videofolder", data_dir=str(out), split="train", cache_dir=cache)
                loaded = loaded.cast_column("video", datasets.Video(decode=False))
                read = [{**row, **row["video"]} for row in loaded]
            else:
                files = {"train": str(out / "data-*.tar")}
                loaded = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=cache)
                loaded = loaded.cast_column("mp4", datasets.Video(decode=False))
                read = [{**row["json"], **row["mp4"]} for row in loaded]
                for row in loaded:
                    assert row["txt"] == (row["json"]["latent_prompt"] or row["json"]["prompt"]), row
            check(read, clips, form)
            print(f"{form}: {len(read)} clips loaded by datasets {datasets.__version__}, columns {loaded.column_names}")


if __name__ == "__main__":
    main()
