"""Opens an embedding cache, results or embeddings with pyarrow, DuckDB and polars, and compares what they see.

    pip install pyarrow duckdb polars numpy safetensors blake3
    python scripts/check_parquet.py FOLDER... FILE.parquet...

A FOLDER is one encoder's folder of a cache (it holds part-*.parquet) or a folder of results (it holds
uncertainty.parquet). A FILE is what `squbed embed` wrote; files beside it of the same name and another ending (.npy,
.safetensors, .json, .jsonl) must hold the same. Ends with exit code 1 and a message at the first difference. `blake3` is
optional; with it the checksum of each row group is computed again.
"""

import json
import math
import struct
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open

try:
    from blake3 import blake3
except ImportError:
    blake3 = None


def check(condition, message):
    if not condition:
        sys.exit(f"check_parquet: {message}")


def checksum(rows, embeddings):
    """The digest of a row group's content, as crates/squbed-store/src/cache/rows.rs defines it."""
    hasher = blake3()

    def put(text):
        data = text.encode()
        hasher.update(struct.pack("<Q", len(data)) + data)

    for row in rows:
        put(row["digest"])
        put(row["source"])
        hasher.update(struct.pack("<qQ", row["frames"], len(row["warnings"])))
        for warning in row["warnings"]:
            put(warning)
    hasher.update(np.ascontiguousarray(embeddings, "<f4").tobytes())
    return hasher.hexdigest()


def check_part(path):
    file = pq.ParquetFile(path)
    header = json.loads(file.metadata.metadata[b"squbed.cache"])
    check(header["version"] == 1, f"{path}: version {header['version']}")
    dim = header["identity"]["dim"]
    expected = pa.schema(
        [
            pa.field("digest", pa.string(), False),
            pa.field("source", pa.string(), False),
            pa.field("frames", pa.int64(), False),
            pa.field("warnings", pa.list_(pa.field("item", pa.string(), False)), False),
            pa.field("embedding", pa.list_(pa.field("item", pa.float32(), False), dim), False),
        ]
    )
    check(file.schema_arrow.remove_metadata().equals(expected), f"{path}: schema {file.schema_arrow}")
    check([g["rows"] for g in header["groups"]] == [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)], f"{path}: row groups")
    for i, group in enumerate(header["groups"]):
        table = file.read_row_group(i)
        embeddings = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, dim)
        check(np.isfinite(embeddings).all(), f"{path}: an embedding is not finite")
        rows = table.drop_columns(["embedding"]).to_pylist()
        check(all(len(r["digest"]) == 64 and int(r["digest"], 16) >= 0 for r in rows), f"{path}: digests")
        if blake3:
            check(checksum(rows, embeddings) == group["blake3"], f"{path}: checksum of row group {i}")
    return header["identity"]


def check_cache(folder):
    paths = sorted(folder.glob("part-*.parquet"))
    identities = [check_part(path) for path in paths]
    check(all(i == identities[0] for i in identities), f"{folder}: more than one encoder")
    check(folder.name.endswith(identity_hash(identities[0])), f"{folder}: not the folder of its encoder")
    dim = identities[0]["dim"]

    arrow = pa.concat_tables([pq.read_table(path) for path in paths])
    polars = pl.read_parquet([str(path) for path in paths])
    check(polars.schema["embedding"] == pl.Array(pl.Float32, dim), f"polars sees {polars.schema}")
    duck = duckdb.sql(
        f"SELECT *, list_inner_product(embedding::FLOAT[{dim}], embedding::FLOAT[{dim}]) AS square "
        f"FROM read_parquet('{folder}/part-*.parquet', filename = true) ORDER BY filename, file_row_number"
    ).fetchnumpy()
    columns = ["digest", "source", "frames", "warnings"]
    seen = arrow.select(columns).to_pylist()
    check(polars.select(columns).to_dicts() == seen, f"{folder}: polars reads other rows")
    for name in ["digest", "source", "frames"]:
        check(list(duck[name]) == [row[name] for row in seen], f"{folder}: DuckDB reads another {name}")
    check([list(w) for w in duck["warnings"]] == [row["warnings"] for row in seen], f"{folder}: DuckDB, warnings")
    embeddings = arrow["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, dim)
    check((polars["embedding"].to_numpy() == embeddings).all(), f"{folder}: polars, embeddings")
    check((np.stack([np.asarray(e) for e in duck["embedding"]]) == embeddings).all(), f"{folder}: DuckDB, embeddings")
    print(f"{folder}: {len(paths)} parts, {len(seen)} rows of {dim}, {identities[0]['name']}: all three agree")


def identity_hash(identity):
    if not blake3:
        return ""
    text = json.dumps(identity, ensure_ascii=False, separators=(",", ":"))
    return blake3(text.encode()).hexdigest()[:8]


def number(x):
    return {"inf": math.inf, "-inf": -math.inf, None: None}[x] if isinstance(x, str) or x is None else x


def fit(row):
    return {k: number(v) if not isinstance(v, list) else v for k, v in row.items()}


def check_results(folder):
    path = folder / "uncertainty.parquet"
    lines = [json.loads(line) for line in open(folder / "uncertainty.jsonl", encoding="utf-8")]
    expected = []
    for line in lines:
        prompts, videos, pooled = line.pop("prompts"), line.pop("videos"), line.pop("pooled")
        interval = line.pop("interval")
        row = {name: number(x) for name, x in line.items() if name != "id"} | {"id": line["id"]}
        row |= {f"prompts_{name}": x for name, x in fit(prompts).items()}
        row["pooled_entropy"] = number(pooled["entropy"])
        row["interval_method"] = interval["method"]
        for name in ["aleatoric", "epistemic", "total", "pooled", "mutual_information"]:
            row |= {f"interval_{name}_{end}": number(x) for end, x in interval[name].items()}
        expected.append(row | {"videos": [fit(video) for video in videos]})
    seen = {
        "pyarrow": pq.read_table(path).to_pylist(),
        "polars": pl.read_parquet(path).to_dicts(),
        "DuckDB": duckdb.sql(f"FROM read_parquet('{path}')").to_arrow_table().to_pylist(),
    }
    for name, rows in seen.items():
        check(rows == expected, f"{path}: {name} reads\n{rows}\nwhere uncertainty.jsonl has\n{expected}")
    method = json.loads(pq.read_metadata(path).metadata[b"squbed.method"])
    print(f"{path}: {len(lines)} tasks, as in uncertainty.jsonl for all three; method {method}")


def check_embeddings(path):
    table = pq.read_table(path)
    field = table.schema.field("embedding")
    check(pa.types.is_fixed_size_list(field.type) and field.type.value_type == pa.float32(), f"{path}: {field}")
    keys, dim = table["key"].to_pylist(), field.type.list_size
    rows = table["embedding"].to_pylist()
    polars = pl.read_parquet(path)
    check(polars["key"].to_list() == keys, f"{path}: polars reads other keys")
    check([r if r is None else list(r) for r in polars["embedding"].to_list()] == rows, f"{path}: polars, embeddings")
    duck = duckdb.sql(f"FROM read_parquet('{path}')").fetchall()
    check([(key, row if row is None else list(row)) for key, row in duck] == list(zip(keys, rows)), f"{path}: DuckDB")
    array = np.array([[math.nan] * dim if r is None else r for r in rows], np.float32).reshape(-1, dim)
    same = [path.suffix]
    for other in sorted(path.parent.glob(f"{path.stem}.*")):
        if other.suffix == ".npy":
            found = keys, np.load(other)
        elif other.suffix == ".safetensors":
            with safe_open(other, "np") as file:
                found = json.loads(file.metadata()["keys"]), file.get_tensor("embeddings")
        elif other.suffix in [".json", ".jsonl"]:
            text = other.read_text(encoding="utf-8")
            objects = json.loads(text) if other.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
            check([o["embedding"] is None for o in objects] == [r is None for r in rows], f"{other}: nulls")
            filled = [[math.nan] * dim if o["embedding"] is None else o["embedding"] for o in objects]
            found = [o["key"] for o in objects], np.array(filled, np.float32).reshape(-1, dim)
        else:
            continue
        check(found[0] == keys and np.array_equal(found[1], array, equal_nan=True), f"{other} is not {path}")
        same.append(other.suffix)
    print(f"{path}: {len(keys)} embeddings of {dim}, {rows.count(None)} null, the same in {', '.join(same)}")


check(len(sys.argv) > 1, "name a folder or a file")
for place in map(Path, sys.argv[1:]):
    if place.is_file():
        check_embeddings(place)
    elif list(place.glob("part-*.parquet")):
        check_cache(place)
    else:
        check_results(place)
