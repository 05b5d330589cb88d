"""The Croissant file of `slm-tune data card`, read by mlcroissant: what it says of it, and each record beside the row of the shards.

    python tests/peers/croissant.py SLM_TUNE MODEL

MODEL is a folder with a tokenizer and a chat template. Ends with 1 if mlcroissant finds an error, or if the records of a side are
not what pyarrow reads from its shards.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mlcroissant
import pyarrow.parquet

ROWS = 300
COLUMNS = ("row", "origin", "answer", "ids", "learn", "breaks")
STATED = (
    'data.card.description="Messages of customers"',
    "data.card.license=https://creativecommons.org/publicdomain/zero/1.0/",
    'data.card.languages=["en"]',
    "data.card.creator=Example Ltd.",
    "data.card.url=https://example.org/messages",
    "data.card.published=2026-01-31",
    'data.card.citation="Example Ltd. (2026). Messages."',
)


def main():
    binary, model = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="croissant-") as folder:
        sys.exit(check(binary, model, Path(folder)))


def check(binary, model, work):
    prepare(binary, model, work)
    dataset = mlcroissant.Dataset(jsonld=work / "runs/messages/croissant.json")
    issues = dataset.metadata.ctx.issues
    for kind, found in (("errors", issues.errors), ("warnings", issues.warnings)):
        print(f"{kind:24} {len(found)}", *sorted(found), sep="\n  ")
    wrong = [side for side in ("train", "validation") if not same(dataset, side, work)]
    return int(bool(issues.errors) or bool(wrong))


def prepare(binary, model, work):
    """Rows of two packings, prepared in several shards, with a card beside them."""
    row = lambda number: json.dumps(dict(prompt=f"Where is parcel {number}?", completion=f" On its way, {'very ' * (number % 7)}soon.")) + "\n"
    (work / "rows.jsonl").write_text("".join(map(row, range(ROWS))))
    (work / "recipe.toml").write_text(
        f'name = "messages"\nmodel.base_model = "{model}"\n[data]\nval_size = 0.2\nshard_rows = 100\n[[data.train]]\npath = "rows.jsonl"\n'
    )
    for arguments in (("prepare", "recipe.toml"), ("card", "runs/messages", *STATED, "--out", "runs/messages")):
        subprocess.run([binary, "--offline", "data", *arguments], cwd=work, check=True, capture_output=True)


def same(dataset, side, work):
    """Whether the records of a side are the rows of its shards."""
    shards = sorted((work / "runs/messages/data").glob(f"{side}-*.parquet"))
    rows = [row for shard in shards for row in pyarrow.parquet.read_table(shard, columns=list(COLUMNS)).to_pylist()]
    records = [{column: plain(record[f"{side}/{column}"]) for column in COLUMNS} for record in dataset.records(side)]
    by_row = lambda row: row["row"]
    is_same = sorted(records, key=by_row) == sorted(rows, key=by_row) and rows != []
    print(f"{side:24} {len(records)} records, {len(rows)} rows in {len(shards)} shards: {'the same' if is_same else 'NOT THE SAME'}")
    return is_same


def plain(value):
    """A value as pyarrow gives it: texts are bytes in mlcroissant, lists arrays of numpy."""
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


main()
