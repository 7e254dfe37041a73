"""Makes the small videos of tests/golden/video/made/ and made.json, what PyAV sees in them.

Run with FFmpeg 5.1.9 (libx264, libx265, libvpx, libaom) on the path, PyAV 18.1.0 and numpy 2.4:
`pip install av numpy && python scripts/golden_video.py`. Files that are cut, flipped or turned are made from
these by the tests, byte by byte.
"""

import json
import pathlib
import subprocess
import tempfile

import av
import numpy

OUT = pathlib.Path(__file__).parent.parent / "tests/golden/video"
MADE = OUT / "made"
H264 = "-c:v libx264 -preset veryslow -crf 30 -threads 1"
HEVC = "-c:v libx265 -crf 32 -x265-params log-level=none:pools=1:frame-threads=1:bframes=3:keyint=12"
MPEG4 = "-c:v mpeg4 -q:v 8 -g 10 -bf 2"
# name: size, frames, filters after the test picture, options of the encoder.
FILES = {
    "h264-bframes.mp4": ("96x64", 30, "null", f"{H264} -bf 3 -g 12 -pix_fmt yuv420p"),
    "hevc-bframes.mp4": ("96x64", 30, "null", f"{HEVC} -pix_fmt yuv420p"),
    "mpeg2-bframes.mpg": ("96x64", 30, "null", "-c:v mpeg2video -q:v 8 -g 10 -bf 2"),
    "mpeg4-bframes.mp4": ("96x64", 30, "null", MPEG4),
    "mpeg4-bframes.avi": ("96x64", 30, "null", MPEG4),
    "mpeg4-bframes.m4v": ("96x64", 30, "null", f"{MPEG4} -f m4v"),
    "h264-bframes.h264": ("96x64", 30, "null", f"{H264} -bf 3 -g 12 -pix_fmt yuv420p"),
    "hevc-bframes.hevc": ("96x64", 30, "null", f"{HEVC} -pix_fmt yuv420p"),
    "h264-bframes.ts": ("96x64", 30, "null", f"{H264} -bf 3 -g 12 -pix_fmt yuv420p"),
    "h264-bframes.mkv": ("96x64", 30, "null", f"{H264} -bf 3 -g 12 -pix_fmt yuv420p"),
    "front.mp4": ("96x64", 30, "null", f"{H264} -bf 3 -g 12 -pix_fmt yuv420p -movflags faststart"),
    "fragmented.mp4": (
        "96x64", 30, "null",
        f"{H264} -bf 3 -g 12 -pix_fmt yuv420p -movflags frag_keyframe+empty_moov+default_base_moof",
    ),
    "vp8.webm": ("96x64", 30, "null", "-c:v libvpx -b:v 100k -auto-alt-ref 1 -lag-in-frames 12 -pix_fmt yuv420p"),
    "vp9.webm": ("96x64", 30, "null", "-c:v libvpx-vp9 -crf 45 -b:v 0 -auto-alt-ref 1 -lag-in-frames 12 -pix_fmt yuv420p"),
    "vp9-alpha.webm": (
        "64x48", 8, "format=yuva420p,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='X*4'",
        "-c:v libvpx-vp9 -crf 45 -b:v 0 -auto-alt-ref 0 -pix_fmt yuva420p",
    ),
    "av1.mp4": ("96x64", 12, "null", "-c:v libaom-av1 -crf 45 -cpu-used 8 -pix_fmt yuv420p"),
    # Times in the ratio of squares: no rate describes them.
    "variable-rate.mp4": (
        "64x48", 12, "settb=1/1000,setpts=N*N*20",
        f"{H264} -bf 2 -pix_fmt yuv420p -vsync passthrough -enc_time_base 1:1000 -video_track_timescale 1000",
    ),
    "hevc10-pq.mp4": (
        "64x48", 6, "null",
        f"{HEVC} -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
    ),
    "h264-10bit.mp4": ("64x48", 6, "null", f"{H264} -pix_fmt yuv420p10le"),
    "h264-422-10bit.mp4": ("64x48", 6, "null", f"{H264} -pix_fmt yuv422p10le"),
    "interlaced.mp4": ("64x48", 12, "interlace", f"{H264} -flags +ilme+ildct -x264opts tff=1 -pix_fmt yuv420p"),
    "odd.mp4": ("64x48", 6, "scale=33:17", "-c:v mpeg4 -q:v 5"),
    "odd-444.mp4": ("64x48", 6, "scale=33:17", f"{H264} -pix_fmt yuv444p"),
    "two-by-two.mp4": ("2x2", 6, "null", f"{H264} -pix_fmt yuv420p"),
    "loop.gif": ("64x48", 6, "null", "-c:v gif"),
    "mjpeg.avi": ("64x48", 6, "null", "-c:v mjpeg -q:v 8 -pix_fmt yuvj420p"),
    "bt709.mp4": ("64x48", 6, "scale=out_color_matrix=bt709,format=yuv420p", f"{H264} -colorspace bt709 -color_primaries bt709 -color_trc bt709"),
    "full-range.mp4": ("64x48", 6, "scale=out_range=full,format=yuv420p", f"{H264} -color_range pc"),
    "bt709-full-range.mp4": (
        "64x48", 6, "scale=out_color_matrix=bt709:out_range=full,format=yuv420p",
        f"{H264} -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709",
    ),
}


def ffmpeg(words):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *words], check=True)


def make(path, size, frames, filters, options):
    source = f"testsrc2=size={size}:rate=25"
    exact = "-fflags +bitexact -flags:v +bitexact -map_metadata -1"
    ffmpeg(["-f", "lavfi", "-i", source, "-vf", filters, "-frames:v", str(frames), *options.split(), *exact.split(), str(path)])


def special(folder):
    """Files that one call of the encoder does not make."""
    tone = ["-f", "lavfi", "-i", "sine=duration=0.3", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    ffmpeg([*tone, "-c:a", "aac", "-b:a", "32k", str(MADE / "sound.m4a")])
    ffmpeg([*tone, "-c:a", "pcm_u8", "-ar", "8000", str(MADE / "sound.wav")])
    # Two sizes in one stream.
    for name, size in [("a.h264", "64x48"), ("b.h264", "96x64")]:
        make(folder / name, size, 10, "null", f"{H264} -bf 0 -pix_fmt yuv420p")
    (folder / "both.h264").write_bytes((folder / "a.h264").read_bytes() + (folder / "b.h264").read_bytes())
    timed = ["-fflags", "+genpts", "-r", "25", "-i", str(folder / "both.h264")]
    ffmpeg([*timed, "-c", "copy", "-fflags", "+bitexact", str(MADE / "two-sizes.ts")])
    # An edit list that begins after the key frame: some frames are decoded and not shown.
    make(folder / "whole.mp4", "96x64", 30, "null", f"{H264} -bf 3 -g 30 -pix_fmt yuv420p")
    ffmpeg(["-ss", "0.4", "-i", str(folder / "whole.mp4"), "-c", "copy", "-fflags", "+bitexact", str(MADE / "trimmed.mp4")])
    ffmpeg(["-i", str(folder / "whole.mp4"), *tone, "-c:v", "copy", "-c:a", "aac", "-b:a", "32k", str(MADE / "with-sound.mp4")])


def quarters(picture):
    """Mean red, green and blue of the top left, top right, bottom left and bottom right quarter."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    parts = [picture[:height, :width], picture[:height, -width:], picture[-height:, :width], picture[-height:, -width:]]
    return [[round(float(value), 3) for value in part.reshape(-1, 3).mean(0)] for part in parts]


def command_line(path, frames):
    """The frames as rgb24 by FFmpeg's command line; none where their size changes."""
    sizes = {(f.width, f.height) for f in frames}
    if len(sizes) > 1:
        return None
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-vf", "scale=flags=bilinear", "-vsync", "passthrough"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
    ((width, height),) = sizes
    return numpy.frombuffer(raw, numpy.uint8).reshape(len(frames), height, width, 3)


def describe(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        frames = list(container.decode(stream))
        base = stream.time_base
        chosen = sorted({0, len(frames) // 2, len(frames) - 1})
        pictures = {i: frames[i].to_ndarray(format="rgb24") for i in chosen}
        cli = command_line(path, frames)
        return {
            "codec": stream.codec_context.codec.canonical_name,
            "pix_fmt": frames[0].format.name,
            "frames": len(frames),
            "time_base": f"{base.numerator}/{base.denominator}",
            "pts": [f.pts for f in frames],
            "pictures": [
                {
                    "index": i,
                    "size": [frames[i].width, frames[i].height],
                    "quarters": quarters(pictures[i]),
                    "quarters_cli": None if cli is None else quarters(cli[i]),
                }
                for i in chosen
            ],
        }


def main():
    MADE.mkdir(parents=True, exist_ok=True)
    for name, recipe in FILES.items():
        make(MADE / name, *recipe)
    with tempfile.TemporaryDirectory() as folder:
        special(pathlib.Path(folder))
    videos = sorted(path for path in MADE.iterdir() if not path.name.startswith("sound."))
    tool = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout.split()[2]
    golden = {
        "tools": {"ffmpeg": tool, "pyav": av.__version__, "numpy": numpy.__version__},
        "notes": "Frames as PyAV decodes them on one thread, not turned; means of the quarters (top left, top "
        "right, bottom left, bottom right) of its rgb24, and of that of FFmpeg's command line (bilinear chroma).",
        "videos": {path.name: describe(path) for path in videos},
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(video)}" for name, video in golden["videos"].items())
    head = json.dumps({key: golden[key] for key in ("tools", "notes")})[:-1]
    (OUT / "made.json").write_text(f'{head}, "videos": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
