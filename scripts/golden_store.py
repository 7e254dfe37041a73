"""Remakes the files of other programs in tests/golden/store.

    pip install numpy==2.4.6 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.0 safetensors==0.8.0
    python scripts/golden_store.py tests/golden/store
"""

import sys
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy
from safetensors.numpy import save_file

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)

# Arrays.
f4 = np.array([[0, 1.5, -2.25], [1e-40, np.inf, 3]], "<f4")
np.save(out / "f4.npy", f4)
for name, array, version in [
    ("f8_v2", np.array([0.1, -1e300, 5e-324, 2.0]), (2, 0)),
    ("f4_v3", f4, (3, 0)),
]:
    with open(out / f"{name}.npy", "wb") as file:
        npy.write_array(file, array, version)
np.save(out / "i8.npy", np.array([[[0, -1], [2**63 - 1, -(2**63)]]], "<i8"))
np.save(out / "scalar.npy", np.float64(7))
np.save(out / "empty.npy", np.zeros((0, 3), "<f4"))
np.save(out / "fortran.npy", np.asfortranarray(f4))
np.save(out / "big_endian.npy", f4.astype(">f4"))
np.save(out / "bool.npy", np.array([True]))
np.save(out / "structured.npy", np.array([(1, 2)], [("a", "<f4"), ("b", "<i8")]))
np.savez(out / "f4.npz", f4=f4)
save_file({"x": np.array([[1, 2.5], [-3, 0]], "<f4")}, out / "one.safetensors")
save_file(
    {"ids": np.array([7, -8, 9]), "y": np.array([0.1]), "half": np.array([1], "<f2")},
    out / "three.safetensors",
)

# Tasks.
latents = [
    {"prompt": "a red cat", "videos": ["v/0.mp4", "/abs/1.mp4"]},
    {"prompt": "a blaue Katze ü", "videos": []},
]
tasks = [
    {"id": "a", "prompt": "a cat", "dataset": "vqa", "category": "animals", "ground_truth": "gt/a.mp4", "latents": latents},
    {"id": "b", "prompt": "a dog", "dataset": None, "category": None, "ground_truth": None, "latents": []},
]
arrow = pa.Table.from_pylist(tasks)
pq.write_table(arrow, out / "tasks_pyarrow.parquet", compression="zstd")
pq.write_table(arrow, out / "tasks_snappy.parquet")  # snappy is pyarrow's default
pq.write_table(arrow, out / "tasks_gzip.parquet", compression="gzip")
# A part of a cache, its metadata with it, in a compression that squbed does not read.
part = pq.ParquetFile(sorted((out / "cache-v1").glob("*/*.parquet"))[0])
header = {b"squbed.cache": part.metadata.metadata[b"squbed.cache"]}
pq.write_table(part.read().replace_schema_metadata(header), out / "cache_gzip.parquet", compression="gzip")
# Texts as views, lists with 64-bit offsets, a dictionary: polars' own types.
frame = pl.DataFrame(tasks).with_columns(pl.col("dataset").cast(pl.Categorical))
frame.write_parquet(out / "tasks_polars.parquet")
duckdb.sql(f"COPY (SELECT * FROM arrow) TO '{out / 'tasks_duckdb.parquet'}' (FORMAT parquet, COMPRESSION zstd)")


def bad(name, rows):
    pq.write_table(pa.Table.from_pylist(rows), out / f"tasks_{name}.parquet", compression="none")


bad("bare", [{"id": "a", "prompt": "a cat"}, {"id": "b", "prompt": "a dog"}])
bad("wrong_type", [{"id": "a", "prompt": 7}])
bad("unknown", [{"id": "a", "prompt": "x", "lattents": "y"}])
bad("null", [{"id": "a", "prompt": "x"}, {"id": "b", "prompt": None}])
bad("flat", [{"id": "a", "prompt": "x", "latents": ["y"]}])
bad("twice", [{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}])
