"""Decoding speed of squbed against PyAV with Pillow, on the same clips and to the same pictures.

    pip install av pillow numpy
    cargo build --release -p squbed-cli            # or, much faster to build and with the same code:
    cargo build --release -p squbed-video --example decode_speed
    python scripts/bench_decode.py --program target/release/examples/decode_speed --footage ~/.cache/squbed/test-videos

Makes clips with ffmpeg and x264 (1280×704, 5 s at 16 frames a second, B-frames) where they are absent, of
footage if there is some and of drawn pictures. Both sides take 12 frames of each, at the centres of 12 equal segments, bring the shorter side to 224 pixels
(bicubic) and cut out the middle, with one decoder thread a clip and N clips in parallel: threads here,
processes for Python. They run in turn; what is printed is the median of the rounds' ratios and its range.
The ratio of processor seconds stands beside that of wall time, because other programs disturb it less.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

FRAMES, SIDE, SIZE, RATE, SECONDS = 12, 224, "1280x704", 16, 5
# The tolerance of the pictures: the two FFmpegs may convert colours with other instructions.
MEAN, MOST = 0.01, 2


def clip(folder, i, footage):
    """A clip as x264 writes it by default but with three B-frames in a row: footage where there is any, and
    drawn pictures."""
    drawn = [
        f"mandelbrot=size={SIZE}:rate={RATE}:start_scale={3 / (i + 1)}",
        f"life=size=320x176:rate={RATE}:mold=10:ratio=0.1:seed={i}:death_color=#C83232:life_color=#00ff00,scale=1280:704",
        f"testsrc2=size={SIZE}:rate={RATE}",
    ]
    kinds = [*footage, *drawn]
    kind = kinds[i % len(kinds)]
    path = folder / f"clip-{i:02}-{kind.stem if isinstance(kind, pathlib.Path) else kind.split('=')[0]}.mp4"
    if not path.exists():
        width, height = SIZE.split("x")
        fit = f"fps={RATE},scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height}"
        source = ["-stream_loop", "-1", "-i", str(kind), "-vf", fit] if isinstance(kind, pathlib.Path) else ["-f", "lavfi", "-i", kind]
        command = ["ffmpeg", "-v", "error", "-nostdin", *source, "-t", str(SECONDS), "-an", "-c:v", "libx264"]
        command += ["-preset", "medium", "-crf", "23", "-bf", "3", "-pix_fmt", "yuv420p", "-threads", "1"]
        subprocess.run([*command, "-y", str(path.with_suffix(".part.mp4"))], check=True)
        path.with_suffix(".part.mp4").rename(path)
    return path


def b_frames(path):
    """The share of B-frames, which is what can be left out."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pict_type", "-of", "csv=p=0"]
    kinds = subprocess.run([*command, str(path)], check=True, capture_output=True, text=True).stdout.replace(",", "").split()
    return round(kinds.count("B") / len(kinds), 2)


def python_side(path):
    """The pictures of one clip, `[12, 224, 224, 3]` bytes, and the processor seconds they took."""
    import av
    import numpy
    from PIL import Image

    before = time.process_time()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        count = stream.frames
        wanted = [int((i + 0.5) * count / FRAMES) for i in range(FRAMES)]
        pictures = []
        for i, frame in enumerate(container.decode(stream)):
            if i not in wanted:
                continue
            image = Image.fromarray(frame.to_ndarray(format="rgb24"))
            size = [SIDE if side == min(image.size) else SIDE * side // min(image.size) for side in image.size]
            image = image.resize(size, Image.Resampling.BICUBIC)
            left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
            pictures.append(numpy.asarray(image.crop((left, top, left + SIDE, top + SIDE))))
            if i == wanted[-1]:
                break
    return numpy.stack(pictures).tobytes(), time.process_time() - before


def run_python(pool, clips):
    start = time.perf_counter()
    results = pool.map(python_side, clips, chunksize=1) if pool else [python_side(path) for path in clips]
    seconds = time.perf_counter() - start
    return seconds, sum(cpu for _, cpu in results), b"".join(pictures for pictures, _ in results)


def run_program(program, threads, clips, pictures):
    """Wall and processor seconds as the program states them; its start is not counted, as Python's is not."""
    if program.name == "squbed":
        command = [program, "--threads", str(threads), "--format", "json", "bench", "decode", *clips]
        command += ["--pictures", pictures] if pictures else []
    else:
        command = [program, str(threads), pictures or "-", *clips]
    result = json.loads(subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout)
    return result["seconds"], result["cpu_s"]


def compare(ours, theirs):
    import numpy

    a, b = (numpy.frombuffer(side, numpy.uint8).astype(numpy.int16) for side in (ours, theirs))
    if a.shape != b.shape:
        sys.exit(f"{a.size} and {b.size} bytes: the two sides do not give the same pictures")
    difference = numpy.abs(a - b)
    found = {"mean": round(float(difference.mean()), 6), "most": int(difference.max())}
    if found["mean"] > MEAN or found["most"] > MOST:
        sys.exit(f"pictures differ by {found} grey levels; at most {MEAN} and {MOST} are allowed")
    return found


def spread(values):
    return {"median": round(statistics.median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}


def rates(rounds, clips):
    return {
        "clips_per_s": spread([clips / seconds for seconds, _ in rounds]),
        "cpu_s_per_clip": spread([cpu / clips for _, cpu in rounds]),
    }


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", type=pathlib.Path, required=True, help="squbed or the example decode_speed")
    parser.add_argument("--clips", type=pathlib.Path, help="folder of the clips; a temporary one where not given")
    parser.add_argument("--footage", type=pathlib.Path, help="folder of real mp4 files to cut clips from, such as the test videos")
    parser.add_argument("--number", type=int, default=6, help="clips")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=pathlib.Path, help="write the figures here as JSON")
    options = parser.parse_args()
    import av
    import PIL

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.clips or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        footage = sorted(options.footage.glob("*.mp4")) if options.footage else []
        clips = [clip(folder, i, footage) for i in range(options.number)]
        dump = pathlib.Path(temporary) / "pictures.rgb"
        run_program(options.program, 1, clips, dump)
        equal = compare(dump.read_bytes(), run_python(None, clips)[2])
        print(f"pictures: mean difference {equal['mean']}, most {equal['most']} grey levels")
        clips_made = {path.stem: {"kilobytes": path.stat().st_size // 1000, "b_frames": b_frames(path)} for path in clips}
        by_threads = {}
        for threads in options.threads:
            rounds = []
            with multiprocessing.get_context("spawn").Pool(threads) if threads > 1 else NoPool() as pool:
                if pool:
                    pool.map(python_side, clips[:1] * threads * 2, chunksize=1)
                for _ in range(options.rounds):
                    ours = run_program(options.program, threads, clips, None)
                    theirs = run_python(pool, clips)[:2]
                    rounds.append({"squbed": ours, "python": theirs})
            by_threads[threads] = {
                "squbed": rates([r["squbed"] for r in rounds], len(clips)),
                "pyav_pillow": rates([r["python"] for r in rounds], len(clips)),
                "wall_ratio": spread([r["python"][0] / r["squbed"][0] for r in rounds]),
                "cpu_ratio": spread([r["python"][1] / r["squbed"][1] for r in rounds]),
            }
            print(f"{threads} in parallel: {json.dumps(by_threads[threads], indent=1)}")
    result = {
        "what": f"{options.number} clips of {SIZE}, {SECONDS} s at {RATE} frames a second, H.264 with B-frames; {FRAMES} frames of each, "
        f"shorter side {SIDE}, centre crop; {options.rounds} rounds in turn; ratios above 1 favour squbed",
        "made_by": "scripts/bench_decode.py",
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} × {processor()}, {platform.system()}",
        "load_at_end": [round(load, 1) for load in os.getloadavg()],
        "versions": {
            "ffmpeg_of_squbed": subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split()[2],
            "pyav": av.__version__,
            "libavcodec_of_pyav": ".".join(map(str, av.library_versions["libavcodec"])),
            "pillow": PIL.__version__,
            "python": platform.python_version(),
        },
        "difference_of_pictures": equal,
        "clips": clips_made,
        "in_parallel": by_threads,
    }
    if options.out:
        options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


class NoPool:
    """No pool: one clip after the other in this process."""

    def __enter__(self):
        return None

    def __exit__(self, *_):
        return False


if __name__ == "__main__":
    main()
