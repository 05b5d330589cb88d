"""Rows prepared by slm-tune and by datasets with tokenizers, in turns: seconds, megabytes a second, and the ratio of each pair.

    python tests/peers/prepare_speed.py SLM_TUNE MODEL [ROWS] [PAIRS]

MODEL is a folder with a tokenizer and a chat template. Both read the same JSON lines of conversations, render and tokenize
them, mask what is given, and write what they made to disk: slm-tune with `data prepare`, the other side with `load_dataset`,
a batched `map` on all cores, and `save_to_disk`; the start of slm-tune is counted, that of Python is not. A third figure is what `tokenizers` alone needs for the rendered texts.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = "the card has not arrived where is my top up failed refund please account number transfer when will it be there".split()


def main():
    binary, model = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    rows, pairs = (int(argument) for argument in [*sys.argv[3:], *["100000", "5"][len(sys.argv) - 3 :]])
    work = Path(tempfile.mkdtemp(prefix="prepare-speed-"))
    try:
        measure(binary, model, work, rows, pairs)
    finally:
        shutil.rmtree(work)


def measure(binary, model, work, rows, pairs):
    size = write_rows(work / "rows.jsonl", rows)
    ours, theirs, alone = [], [], []
    for pair in range(pairs + 1):
        sides = [(ours, lambda: prepare(binary, model, work)), (theirs, lambda: peer(model, work))]
        for seconds, run in sides if pair % 2 else reversed(sides):
            seconds.append(run())
        alone.append(float(told([sys.executable, __file__, "--alone", model, work], work)))
    # The first of each warms the page cache.
    ours, theirs, alone = ours[1:], theirs[1:], alone[1:]
    print(f"{rows} rows, {size / 1e6:.1f} MB, {os.cpu_count()} cores, {pairs} pairs")
    for name, seconds in [("slm-tune data prepare", ours), ("datasets + tokenizers", theirs), ("tokenizers alone", alone)]:
        middle = statistics.median(seconds)
        print(f"{name:24} {middle:7.2f} s  {size / 1e6 / middle:7.2f} MB/s  of {' '.join(f'{each:.2f}' for each in seconds)}")
    ratios = [their / our for our, their in zip(ours, theirs)]
    print(f"times as fast as datasets + tokenizers: {statistics.median(ratios):.2f} of {' '.join(f'{ratio:.2f}' for ratio in ratios)}")
    ratios = [each / our for our, each in zip(ours, alone)]
    print(f"share of the rate of tokenizers alone: {statistics.median(ratios):.2f} of {' '.join(f'{ratio:.2f}' for ratio in ratios)}")


def write_rows(path, rows):
    random.seed(1)
    said = lambda most: " ".join(random.choices(WORDS, k=random.randint(5, most)))
    with path.open("w") as file:
        for _ in range(rows):
            messages = [dict(role="user", content=said(60)), dict(role="assistant", content=said(30))]
            file.write(json.dumps(dict(messages=messages)) + "\n")
    return path.stat().st_size


def prepare(binary, model, work):
    shutil.rmtree(work / "runs", ignore_errors=True)
    recipe = f"""
name = "speed"
[model]
base_model = "{model}"
max_length = 4096
[data]
val_size = 0
[data.clean]
conflicts = "off"
[[data.train]]
path = "rows.jsonl"
[train]
load_best_model_at_end = false
"""
    (work / "speed.toml").write_text(recipe)
    return timed([binary, "--offline", "data", "prepare", "speed.toml", "--quiet"], work)


def peer(model, work):
    for made in ("cache", "made"):
        shutil.rmtree(work / made, ignore_errors=True)
    return float(told([sys.executable, __file__, "--peer", model, work], work))


def timed(command, work):
    start = time.perf_counter()
    told(command, work)
    return time.perf_counter() - start


def told(command, work):
    done = subprocess.run(list(map(str, command)), cwd=work, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout.split()[-1] if done.stdout.split() else ""


def peer_prepares(model, work):
    """What a user of datasets writes: the prompt's length tells what is masked."""
    os.environ["HF_DATASETS_CACHE"] = str(work / "cache")
    from datasets import disable_progress_bars, load_dataset
    from transformers import AutoTokenizer

    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(model)
    # What Python needs to import is not counted.
    start = time.perf_counter()

    def encode(batch):
        whole = [tokenizer.apply_chat_template(row, tokenize=False) for row in batch["messages"]]
        given = [tokenizer.apply_chat_template(row[:-1], tokenize=False, add_generation_prompt=True) for row in batch["messages"]]
        ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
        offsets = tokenizer(given, add_special_tokens=False)["input_ids"]
        labels = [[-100] * len(start) + row[len(start) :] for row, start in zip(ids, offsets)]
        return dict(input_ids=ids, labels=labels)

    rows = load_dataset("json", data_files=str(work / "rows.jsonl"), split="train")
    made = rows.map(encode, batched=True, num_proc=os.cpu_count(), remove_columns=rows.column_names)
    made.save_to_disk(str(work / "made"))
    print(time.perf_counter() - start)


def tokenizers_alone(model, work):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    render = AutoTokenizer.from_pretrained(model)
    rows = [json.loads(line)["messages"] for line in (work / "rows.jsonl").open()]
    texts = [render.apply_chat_template(row, tokenize=False) for row in rows]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    start = time.perf_counter()
    tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--peer", model, work]:
            peer_prepares(Path(model), Path(work))
        case ["--alone", model, work]:
            tokenizers_alone(Path(model), Path(work))
        case _:
            main()
