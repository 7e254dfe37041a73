"""Kills `squbed generate` at random moments and looks whether clips and ledger agree each time.

    python3 scripts/ledger_kills.py SQUBED [KILLS] [SEED]

Standard library alone; needs a POSIX system. The video model is a shell script that takes its time to copy a clip.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "tests/golden/video/made/h264-bframes.mp4"
VIDEOS = 80


def check(videos):
    """Clips that have their names; each is whole and in the ledger."""
    ledger = videos / "ledger.jsonl"
    rows = []
    for line in (ledger.read_text(encoding="utf-8") if ledger.exists() else "").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            pass  # the line that the kill cut; the next run removes it
    made = {row["video"]: row for row in rows if row["outcome"] == "made"}
    clips = sorted(path for path in videos.glob("t/latent_*/gen_video_*.mp4"))
    for clip in clips:
        assert clip.read_bytes() == CLIP.read_bytes(), clip
        assert str(clip.relative_to(videos)) in made, clip
    for latent in {name.rsplit("/", 1)[0] for name in made}:
        seeds = {}
        for row in rows:
            if row["video"].startswith(latent):
                assert seeds.setdefault(row["seed"], row["video"]) == row["video"], row
    return len(clips)


def lines(videos):
    ledger = videos / "ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else -1


def main():
    program = sys.argv[1]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        script = folder / "model.sh"
        script.write_text('sleep 0.02; cp "$4" "$3"\n', encoding="utf-8")
        latents = [{"prompt": f"a cat, number {i}"} for i in range(2)]
        (folder / "tasks.jsonl").write_text(json.dumps({"id": "t", "prompt": "a cat", "latents": latents}) + "\n")
        template = f"sh '{script}' {{prompt}} {{seed}} {{out}} '{CLIP}'"
        command = [program, "generate", str(folder / "tasks.jsonl"), "--generator", "command", "--command", template,
                   "--parallel", "2", "-m", str(VIDEOS), "--out", str(folder / "out/tasks.jsonl"), "--quiet"]
        done = []
        for _ in range(kills):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # Not before it has begun, and in the midst of a clip: after some rows, and some milliseconds.
            rows = lines(folder / "out/videos") + chance.randrange(4)
            while lines(folder / "out/videos") < rows and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.03))
            process.kill()
            process.wait()
            time.sleep(0.1)  # what it started ends by itself
            done.append(check(folder / "out/videos"))
        subprocess.run(command, check=True)
        assert check(folder / "out/videos") == 2 * VIDEOS
        left = [path for path in (folder / "out/videos").rglob(".*") if path.is_file()]
        assert not left, left
    print(f"{kills} kills, clips there after each: {done}; whole at the end")


if __name__ == "__main__":
    main()
