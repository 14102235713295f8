"""Makes the fixture of the Parquet tests: RTE in the layout of the Hugging Face hub, and the same as JSON lines.

    pip install pyarrow==26.0.1
    python scripts/parity/glue_parquet.py tests/fixtures/glue

Writes `hub/rte/` (two training shards and a validation file, each with another codec, page version and
integer for the label), `lines/` (the same examples) and `wrong/` (files that cannot be read as RTE).
"""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

out = Path(sys.argv[1])
texts = [
    ("No Weapons Found in Iraq Yet.", 'He said "no\tweapons".', 1),
    ("Café naïve — 北京, don't: ÅNGSTRÖM ½ 🙂!", "", 0),
    ("A place of sorrow.", "A place of sorrow.", 0),
    ("Line one\nline two", "A place of sorrow.", 1),
    ("So it goes. " * 40, "It goes.", 0),
]


def table(rows, label):
    """Columns as the hub has them; its description of the classes goes into the schema's metadata."""
    features = {"label": {"names": ["entailment", "not_entailment"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema(
        [("sentence1", pa.string()), ("sentence2", pa.string()), ("label", label), ("idx", pa.int32())],
        metadata=metadata,
    )
    columns = [*map(list, zip(*rows)), list(range(len(rows)))]
    return pa.table(columns, schema=schema)


hub, lines, wrong = out / "hub" / "rte", out / "lines", out / "wrong"
for folder in (hub, lines, wrong):
    folder.mkdir(parents=True, exist_ok=True)
shards = {
    "train-00000-of-00002": (texts[:3], pa.int64(), {"compression": "snappy", "row_group_size": 2}),
    "train-00001-of-00002": (texts[3:], pa.int64(), {"compression": "zstd", "use_dictionary": False}),
    "validation-00000-of-00001": (texts[::-1], pa.int8(), {"compression": "gzip", "data_page_version": "2.0"}),
}
for name, (rows, label, options) in shards.items():
    pq.write_table(table(rows, label), hub / f"{name}.parquet", **options)
for name, rows in {"train": texts, "validation": texts[::-1]}.items():
    examples = [{"sentence1": a, "sentence2": b, "label": label} for a, b, label in rows]
    text = "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
    (lines / f"{name}.jsonl").write_text(text, encoding="utf-8")
hidden = [("a", "b", 1), ("a", "b", -1)]
pq.write_table(table(hidden, pa.int64()), wrong / "hidden.parquet")
pq.write_table(table([("a", None, 1)], pa.int64()), wrong / "null.parquet")
pq.write_table(table([("a", "b", 1.0)], pa.float64()), wrong / "real.parquet")
pq.write_table(table(hidden, pa.int64()).rename_columns(["text1", "text2", "label", "idx"]), wrong / "names.parquet")
