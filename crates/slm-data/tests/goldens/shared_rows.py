"""Row and token counts of the data sets under ../shared/data, by Python's json, csv, transformers and tokenizers.

    python shared_rows.py SHARED    # the folder that holds data/ and tokenizers/; writes shared_rows.json beside this file
"""

import csv
import gzip
import json
import sys
from pathlib import Path

from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent
SHARED = Path(sys.argv[1])
DATA = SHARED / "data"
CONFIG = json.loads((HERE / "chatml_config.json").read_text())
TOKENIZER = PreTrainedTokenizerFast(
    tokenizer_file=str(SHARED / "tokenizers/smollm2/tokenizer.json"),
    eos_token=CONFIG["eos_token"],
    chat_template=CONFIG["chat_template"],
)
ROLES = {"human": "user", "gpt": "assistant", "function_call": "assistant", "observation": "tool"}


def ids(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def pair(prompt, completion):
    """Prompt and completion encoded each for itself, EOS behind."""
    before, after = len(ids(prompt)), len(ids(completion)) + 1
    return before + after, after - (before == 0)


def text(said):
    return pair("", said)


def chat(messages, learned=None):
    """The rendered conversation; learned are the assistant's contents (or the messages of these places) and the EOS behind each."""
    rendered = TOKENIZER.apply_chat_template(messages, tokenize=False)
    encoded = TOKENIZER(rendered, add_special_tokens=False, return_offsets_mapping=True)
    spans = []
    for at, message in enumerate(messages):
        if message["role"] == "assistant" if learned is None else at in learned:
            before = TOKENIZER.apply_chat_template(messages[:at], tokenize=False) if at else ""
            start = len(before) + len("<|im_start|>assistant\n")
            spans.append((start, start + len(message["content"]) + len("<|im_end|>")))
    inside = lambda a, b: any(start < b and a < end for start, end in spans)
    count = sum(inside(a, b) for a, b in encoded["offset_mapping"][1:])
    return len(encoded["input_ids"]), count


def said(content):
    if isinstance(content, list):
        return "".join(part.get("text") or part.get("value") or "" for part in content)
    return content


def messages(row):
    return [{"role": m["role"], "content": said(m["content"])} for m in row]


def share_gpt(row):
    return [{"role": ROLES.get(m["from"], m["from"]), "content": m["value"]} for m in row]


def alpaca(row):
    asked = row["instruction"] + ("\n" + row["input"] if row.get("input") else "")
    history = [m for q, a in row.get("history") or [] for m in
               ({"role": "user", "content": q}, {"role": "assistant", "content": a})]
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    return chat(system + history + [{"role": "user", "content": asked}, {"role": "assistant", "content": row["output"]}])


def both(given, chosen, rejected):
    given, answers = share_gpt(given), share_gpt([chosen, rejected])
    counts = [chat(given + [answer], {len(given)}) for answer in answers]
    return tuple(map(sum, zip(*counts)))


def read(path):
    path = DATA / path
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8", newline="")
    with opened as file:
        if ".csv" in path.name:
            return list(csv.DictReader(file))
        if ".jsonl" in path.name:
            return [json.loads(line) for line in file if line.strip()]
        if path.suffix == ".json":
            return json.load(file)
        lines = file.read().replace("\r\n", "\n").split("\n")
        return [line for line in lines if line.strip()]


FACTORY = "instruct_llamafactory/"
CASES = {
    "banking77/train.csv": lambda r: pair(f"Query: {r['text']}\nIntent:", f" {r['category']}"),
    "gsm8k/train.jsonl": lambda r: pair(r["question"], r["answer"]),
    "humaneval/HumanEval.jsonl.gz": lambda r: pair(r["prompt"], r["canonical_solution"]),
    FACTORY + "alpaca_en_demo.json": alpaca,
    FACTORY + "identity.json": alpaca,
    FACTORY + "c4_demo.jsonl": lambda r: text(r["text"]),
    FACTORY + "wiki_demo.txt": text,
    FACTORY + "v1_sft_demo.jsonl": lambda r: chat(messages(r["messages"])),
    FACTORY + "glaive_toolcall_en_demo.json": lambda r: chat(share_gpt(r["conversations"])),
    FACTORY + "dpo_en_demo.json": lambda r: both(r["conversations"], r["chosen"], r["rejected"]),
    FACTORY + "kto_en_demo.json": lambda r: chat(messages(r["messages"]), {len(r["messages"]) - 1}),
    "instruct_llms_from_scratch/instruction-data.json": alpaca,
    "instruct_llms_from_scratch/instruction-data-with-preference.json": alpaca,
    "maintie/gold_release.json": lambda r: pair(r["text"], "; ".join(e["type"] for e in r["entities"])),
    "mt_bench/dummy_conversation.json": lambda r: chat(share_gpt(r["conversations"])),
    "mt_bench/question.jsonl": lambda r: text(r["turns"][0]),
    "mts_dialog/MTS-Dialog-TrainingSet.csv": lambda r: pair(r["dialogue"], r["section_text"]),
    "mts_dialog/MTS-Dialog-ValidationSet.csv": lambda r: pair(r["dialogue"], r["section_text"]),
    "sms_spam/SMSSpamCollection": lambda r: pair(*reversed(r.split("\t"))),
    "tatqa/tatqa_dataset_dev.json": lambda r: pair(r["paragraphs"][0]["text"], r["questions"][0]["question"]),
    "text2sql/advising.json": lambda r: pair(r["sentences"][0]["text"], r["sql"][0]),
    "tinyshakespeare/input.txt": text,
    "tinystories_samples/tinystories_sample.txt": text,
}

figures = {}
for path, count in CASES.items():
    rows = read(path)
    counts = [count(row) for row in rows]
    figures[path] = {"rows": len(rows), "tokens": sum(c[0] for c in counts), "learned_tokens": sum(c[1] for c in counts)}
    print(path, figures[path], flush=True)
(HERE / "shared_rows.json").write_text(json.dumps(figures, indent=1) + "\n")
