"""slm-tune on a GPU beside transformers and peft: python gpu.py BINARY [options], started by gpu.sh.

Both sides run the same workload in turn, in rounds over all workloads, so that what drifts drifts for both, and so that
every workload has been measured once when time is short. slm-tune is a process for each measurement; the peer is one that
stays, holding nothing on the card while slm-tune runs. The first round tries the peer as peft makes it and under autocast;
ratios are against the faster, which the later rounds keep to, and are medians over the rounds. After the first round come
the items of gpu_items.py.
"""

import argparse
import json
import math
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench import HERE, ROOT, SHAPES, parameters
from gpu_items import FORETOLD, ITEMS, Failed

# Rows made of tokens need a tokenizer all the same; their ids are those that it has.
TOKENIZER = [ROOT / "datasets/base/slm-base-2m" / name for name in ("tokenizer.json", "tokenizer_config.json")]
IDS, END, IGNORED = range(16, 2048), 2, -100
RANK, ALPHA = 16, 32
ROWS, ROW_MEAN, ROW_SPREAD, ROW_LEAST, ROW_MOST, PROMPT_SHARE = 512, 200, 0.8, 16, 1024, 0.6
PACKED, PROMPT, NEW_TOKENS = 4096, 512, 128
DECODED = (1, 16)
# A dry run's lengths are that much shorter.
SHRINK = 16
MODES = ("default", "autocast")
LONGEST_S = 150
GIB = 2**30


@dataclass(frozen=True)
class Line:
    """A line of the table. `peer` are keys of the peer's task, `floors` what is hoped for (see `verdicts`)."""

    shape: str
    title: str = ""
    kind: str = "train"
    batch: int = 1
    length: int = 0
    checkpointing: bool = False
    peer: dict = field(default_factory=dict)
    floors: dict = field(default_factory=dict)


def mixed(title, floors):
    return Line("llama-3.2-1b", title, kind="rows", batch=16, peer=dict(rows_as=title), floors=floors)


WORKLOADS = {
    "1b": [Line("llama-3.2-1b", batch=8, length=1024, floors=dict(speed=1.5, memory=0.6, foretold=FORETOLD))],
    "0.5b": [Line("qwen2.5-0.5b", batch=16, length=512, floors=dict(speed=1.8, memory=0.5, foretold=FORETOLD))],
    "3b": [
        Line(
            "llama-3.2-3b", "checkpointed", batch=2, length=4096, checkpointing=True,
            floors=dict(speed=1.3, share=0.35, gib=8.5, foretold=FORETOLD),
        )
    ],
    "1b mixed": [mixed("padding", dict(speed=3.0)), mixed("packing", dict(speed=1.5))],
    "1b decode": [Line("llama-3.2-1b", f"batch {batch}", kind="generate", batch=batch) for batch in DECODED],
}


# Families whose answers are compared: models of random weights that come with the goldens.
FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "phi3_partial", "gpt2")
# Of the largest logit; and of the error of PyTorch's own bf16, with a quarter for the luck of one short sequence.
F32, BF16 = 2e-4, 1.25


def parse():
    parser = argparse.ArgumentParser(description="Measure slm-tune on a GPU beside transformers and peft.")
    parser.add_argument("binary", type=Path)
    everything = ["answers", *WORKLOADS, *ITEMS]
    kinds = list(dict.fromkeys(name.split()[0] for name in ITEMS))
    parser.add_argument(
        "--only", default=",".join(everything), help=f"some of: {', '.join(['answers', *WORKLOADS, *kinds])}, or one item of a kind: `steps uld`"
    )
    parser.add_argument("--pairs", type=int, default=2, help="rounds")
    parser.add_argument("--steps", type=int, default=8, help="measured in each run; twice as many of rows of mixed length")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=8.5, help="after which nothing more is measured")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="a JSON file for all that was measured")
    parser.add_argument("--dry", action="store_true", help="tiny shapes in f32 on the CPU: whether this script works")
    parser.add_argument("--device", help="of slm-tune; libtorch:cuda:0, or libtorch:cpu in a dry run")
    parser.add_argument("--set", action="append", default=[], help="a key of slm-tune's recipe: model.quantization=int8")
    arguments = parser.parse_args()
    wanted = [name.strip() for name in arguments.only.split(",")]
    arguments.only = [name for name in everything if name in wanted or (name in ITEMS and name.split()[0] in wanted)]
    arguments.binary = arguments.binary.resolve()
    arguments.device = arguments.device or ("libtorch:cpu" if arguments.dry else "libtorch:cuda:0")
    unknown = [name for name in wanted if name not in [*everything, *kinds]]
    if unknown:
        parser.error(f"nothing is called {', '.join(unknown)}; there are: {', '.join(everything)}")
    if not arguments.binary.is_file():
        parser.error(f"there is no binary at {arguments.binary}")
    return arguments


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as scratch:
        comparison = Comparison(arguments, Path(scratch))
        try:
            comparison.run()
        finally:
            comparison.peer.stop()
        report = comparison.report()
        if comparison.lines:
            table(report)
        for name, figures in report["items"].items():
            print(f"{name:<18}  {figures['text']}{verdict(figures)}")
    print(f"all of it is in {arguments.out}" + arguments.dry * "; the numbers of a dry run mean nothing")
    for failure in comparison.failures:
        print(f"FAILED {failure['what']}")
    sys.exit(1 if comparison.failures else 0)


class Comparison:
    def __init__(self, arguments, work):
        self.arguments, self.work = arguments, work
        self.shrink, self.dtype = (SHRINK, "f32") if arguments.dry else (1, "bf16")
        self.ends = time.monotonic() + 60 * arguments.minutes
        self.peer = Peer("cpu" if arguments.dry else "cuda", work / "peer.log")
        self.card = dict(card=None, matmul_flops=None)
        self.lines = [(name, line) for name in arguments.only for line in WORKLOADS.get(name, [])]
        self.answers, self.items = [], {}
        # By line and contender, the figures of each round; none where it failed.
        self.runs = [{} for _ in self.lines]
        self.failures = []

    def run(self):
        size = 8192 // self.shrink
        about = self.attempt("card", lambda: self.peer.ask(kind="card", size=size, seconds=self.seconds()))
        if about:
            self.card = {key: about[key] for key in ("card", "matmul_flops", "torch", "transformers", "peft")}
            versions = ", ".join(f"{package} {self.card[package]}" for package in ("torch", "transformers", "peft"))
            print(f"{self.card['card']}: {self.card['matmul_flops'] / 1e12:.3g} TFLOP/s in bf16; {versions}", flush=True)
        self.answers = [self.attempt(f"answers of {family}", lambda: self.answer(family)) for family in self.families()]
        longest = [0.0] * len(self.lines)
        for turn in range(self.arguments.pairs):
            commands = {}
            for number, (name, line) in enumerate(self.lines):
                began = time.monotonic()
                if turn and self.ends - began < longest[number]:
                    print(f"round {turn + 1}: {name} {line.title} is left out, as time is short", flush=True)
                    continue
                for contender in self.contenders(number):
                    label = " ".join(filter(None, [name, line.title, contender]))
                    measure = self.ours if contender == "ours" else self.theirs
                    figures = self.attempt(label, lambda: measure(line, contender, commands))
                    self.runs[number].setdefault(contender, []).append(figures)
                    if figures:
                        print(f"round {turn + 1}: {label}: {figures['rate']:.1f} tokens/s", flush=True)
                    self.keep()
                longest[number] = max(longest[number], time.monotonic() - began)
            if not turn:
                self.run_items()
        self.keep()

    def run_items(self):
        for name in filter(ITEMS.get, self.arguments.only):
            began = time.monotonic()
            figures = self.attempt(name, lambda: ITEMS[name](self))
            if figures:
                ok = None if self.arguments.dry else figures.get("ok")
                self.items[name] = figures | dict(ok=ok, took_s=time.monotonic() - began)
                print(f"{name}: {figures['text']}{verdict(self.items[name])}", flush=True)
            self.keep()

    def keep(self):
        self.arguments.out.write_text(json.dumps(self.report(), indent=1) + "\n")

    def families(self):
        return FAMILIES if "answers" in self.arguments.only else ()

    def answer(self, family):
        """Logits of a small model on the device beside transformers'."""
        model = ROOT / "tests/goldens/data" / family / "model"
        ids = random.Random(family).choices(range(3, 80), k=40)
        written = {dtype: str(self.work / f"{family}-{dtype}.safetensors") for dtype in ("f32", "bf16")}
        for dtype, out in written.items():
            spoken = ["--ids", ",".join(map(str, ids)), "--device", self.arguments.device, "--dtype", dtype, "--out", out]
            call([str(self.arguments.binary), "--offline", "logits", str(model), *spoken], self.seconds())
        found = self.peer.ask(kind="answers", model=str(model), ids=ids, written=written, seconds=self.seconds())
        found = {key: found[key] for key in ("difference", "bf16", "peer_bf16")}
        print(
            f"answers of {family}: f32 within {found['difference']:.1e} of the largest logit; bf16 "
            f"{found['bf16'] / found['peer_bf16']:.2f} times as far from f32 as PyTorch's", flush=True,
        )
        if found["difference"] > F32 or found["bf16"] > BF16 * found["peer_bf16"]:
            raise Failed(f"{found} is more than {F32} and {BF16}")
        return dict(family=family, **found)

    def attempt(self, label, work):
        """What `work` gives; none where it fails, which does not keep the others from going on."""
        try:
            return work()
        except Exception as failure:
            why = str(failure) if isinstance(failure, Failed) else repr(failure)
            print(f"FAILED {label}: {why}", flush=True)
            self.failures.append(dict(what=label, why=why))
            return None

    def contenders(self, number):
        """The peer in every mode at first, then in the fastest; ours after it."""
        fastest = self.fastest(number)
        tried = MODES if self.lines[number][1].kind != "generate" else MODES[:1]
        return [*([fastest] if fastest else tried), "ours"]

    def fastest(self, number):
        firsts = {who: next(filter(None, of), None) for who, of in self.runs[number].items() if who != "ours"}
        rates = {who: first["rate"] for who, first in firsts.items() if first}
        return max(rates, key=rates.get, default=None)

    def seconds(self):
        left = int(self.ends - time.monotonic())
        if left < 1:
            raise Failed("there was no time left")
        return min(left, LONGEST_S)

    def workload(self, name):
        return WORKLOADS[name][0]

    def tool(self, *words, **where):
        """What the binary prints on stdout."""
        return self.call([str(self.arguments.binary), "--offline", *map(str, words)], **where)

    def call(self, command, **where):
        return call(command, self.seconds(), **where)

    def steps(self, line):
        """Steps over mixed rows differ in their tokens, so there are more of them."""
        return self.arguments.steps * (2 if line.kind == "rows" else 1)

    def theirs(self, line, mode, _):
        base = self.base(line)
        answer = self.peer.ask(
            kind=line.kind, base=str(base), mode=mode, dtype=self.dtype, batch=self.batch(line),
            length=line.length // self.shrink, checkpointing=line.checkpointing, steps=self.steps(line),
            warmup=self.arguments.warmup, r=RANK, alpha=ALPHA, rows=str(base / "rows.jsonl"), packed=PACKED // self.shrink,
            prompt=PROMPT // self.shrink, new_tokens=NEW_TOKENS // self.shrink, seconds=self.seconds(), **line.peer,
        )
        if line.kind == "generate":
            figures = dict(rate=answer["decode"], prefill=answer["prefill"])
        else:
            figures = self.trained(line, answer["steps"]) | dict(attention=answer["attention"])
        return figures | {key: answer[key] for key in ("allocated_bytes", "reserved_bytes")}

    def ours(self, line, _, commands):
        """Lines with the same command share its one run of a round."""
        command = tuple(self.command(line))
        if command not in commands:
            commands[command] = json.loads(call(command, self.seconds()))
        measured = commands[command]
        if line.kind == "generate":
            spoken = next(it for it in measured["generation"] if it["rows"] == self.batch(line))
            figures = dict(rate=spoken["decode_tokens_per_s"], prefill=spoken["prefill_tokens_per_s"])
        else:
            figures = self.trained(line, measured["training"]["steps"])
        # A build that does not count them leaves them out.
        memory = {f"{kind}_bytes": (measured.get("device_peak") or {}).get(f"{kind}_bytes") for kind in ("allocated", "reserved")}
        if line.kind == "generate" and line.batch < max(DECODED):
            # One process decodes every batch, as its start takes longer than that; the peak is that of the largest.
            memory = dict.fromkeys(memory)
        return figures | memory | dict(load_s=measured["load_s"], expected_bytes=measured["expected_bytes"])

    def command(self, line, steps=None, warmup=None):
        base, arguments, length = self.base(line), self.arguments, line.length // self.shrink
        steps = [f"--steps={steps or self.steps(line)}", f"--warmup={warmup or arguments.warmup}"]
        packed = PACKED // self.shrink
        return [
            str(arguments.binary), "--offline", "bench", str(SHAPES / "lora.toml"), "--random-weights", "--json",
            f"model.base_model={base}", f"model.device={arguments.device}", f"model.dtype={self.dtype}",
            f"lora.r={RANK}", f"lora.lora_alpha={ALPHA}",
            f"train.gradient_checkpointing={str(line.checkpointing).lower()}",
            *dict(
                train=[*steps, f"--length={length}", f"--batch={self.batch(line)}", f"model.max_length={length}"],
                rows=[
                    *steps, "--batch=1", "data.packing=true", f"model.max_length={packed}", "data.val_size=0",
                    f'data.train=[{{path = "{base}/rows.jsonl"}}]',
                ],
                generate=[
                    "--steps=0", "--warmup=0", "--length=2", f"--generate={NEW_TOKENS // self.shrink}",
                    f"--prompt={PROMPT // self.shrink}", f"--rows={','.join(map(str, DECODED))}",
                ],
            )[line.kind],
            *arguments.set,
        ]

    def batch(self, line):
        return min(line.batch, 2) if self.arguments.dry and line.kind != "generate" else line.batch

    def trained(self, line, steps):
        """Rows of one length: the median step. Of mixed length: all tokens, padding left out, over all seconds."""
        if line.kind == "train":
            rate = steps[0]["tokens"] / median(step["elapsed_s"] for step in steps)
        else:
            rate = sum(step["tokens"] for step in steps) / sum(step["elapsed_s"] for step in steps)
        flops, peak = 4 * parameters(self.base(line)) * rate, self.card["matmul_flops"]
        return dict(
            rate=rate, flops=flops, share=flops / peak if peak else None,
            steps=[{key: step[key] for key in ("elapsed_s", "tokens")} for step in steps],
        )

    def base(self, line):
        """The folder with the shape; for rows also a tokenizer, and the rows as tokens."""
        base = self.work / line.shape
        if not base.exists():
            base.mkdir()
            config = json.loads((SHAPES / line.shape / "config.json").read_text())
            config |= dict(bos_token_id=0, eos_token_id=END)
            if self.arguments.dry:
                config |= dict(
                    hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                    head_dim=16, vocab_size=IDS.stop,
                )
            (base / "config.json").write_text(json.dumps(config))
            for file in TOKENIZER:
                shutil.copy(file, base)
            (base / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in instruction_rows(self.shrink)))
        return base

    def verdicts(self, summary, floors):
        """Of real shapes; there are none of a dry run's."""
        return dict.fromkeys(floors) if self.arguments.dry else verdicts(summary, floors)

    def report(self):
        """All that was measured, a summary of each line first."""
        lines = []
        for (name, line), runs, number in zip(self.lines, self.runs, range(len(self.lines))):
            summary = summarized(runs, self.fastest(number))
            fixed = dict(workload=name, **asdict(line), parameters=parameters(self.base(line)))
            lines.append(fixed | dict(summary=summary, verdicts=self.verdicts(summary, line.floors), runs=runs))
        return dict(
            **self.card, dry=self.arguments.dry, dtype=self.dtype, answers=self.answers, lines=lines, items=self.items, failures=self.failures
        )


class Peer:
    """The process of transformers and peft; started when it is asked something, and again after it ended."""

    def __init__(self, device, log):
        self.device, self.log, self.process = device, log, None

    def ask(self, **task):
        if self.process is None:
            with self.log.open("w") as log:
                self.process = subprocess.Popen(
                    [sys.executable, str(HERE / "gpu_peer.py"), self.device], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=log, text=True,
                )
        try:
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            self.process = None
            why = f"took over {task['seconds']} s" if code == -signal.SIGALRM else f"ended with {code}"
            raise Failed(f"the peer {why}:\n{tail(self.log.read_text())}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"the peer failed:\n{tail(answer['error'])}")
        return answer

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def instruction_rows(shrink):
    """Prompts and answers of mixed length, a few long among many short; the same in every run."""
    drawn = random.Random(0)
    rows = []
    for _ in range(ROWS):
        length = drawn.lognormvariate(math.log(ROW_MEAN) - ROW_SPREAD**2 / 2, ROW_SPREAD)
        length = int(min(max(length, ROW_LEAST), ROW_MOST)) // shrink + (shrink > 1)
        ids = [*drawn.choices(IDS, k=length - 1), END]
        prompt = int(PROMPT_SHARE * length)
        rows.append(dict(input_ids=ids, labels=[IGNORED] * prompt + ids[prompt:]))
    return rows


def summarized(runs, mode):
    """Medians of both sides, and of the ratios of neighbours."""
    ours, theirs = runs.get("ours", []), runs.get(mode, [])

    def middle(values):
        known = [value for value in values if value is not None]
        return median(known) if known else None

    def of(side, key):
        return middle([figures.get(key) for figures in side if figures])

    def ratio(key):
        pairs = [(mine[key], other[key]) for mine, other in zip(ours, theirs) if mine and other]
        return middle([mine / other for mine, other in pairs if mine and other])

    figures = {}
    for key in ("rate", "prefill", "flops", "share", "allocated_bytes", "reserved_bytes", "expected_bytes"):
        figures[key] = dict(ours=of(ours, key), peer=of(theirs, key))
    return dict(mode=mode, speed=ratio("rate"), memory=ratio("allocated_bytes"), **figures)


def verdicts(summary, floors):
    """By floor, whether it is reached; none where nothing was measured. Two are ratios to the peer, three are of ours alone."""
    peak, expected = summary["allocated_bytes"]["ours"], summary["expected_bytes"]["ours"]
    got = dict(
        speed=summary["speed"], memory=summary["memory"], share=summary["share"]["ours"], gib=peak and peak / GIB,
        foretold=abs(expected / peak - 1) if peak and expected else None,
    )
    above = ("speed", "share")
    return {
        key: None if got[key] is None else (got[key] >= floor if key in above else got[key] <= floor)
        for key, floor in floors.items()
    }


def call(command, seconds, cwd=ROOT):
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as slow:
        raise Failed(f"`{' '.join(command)}` took over {seconds} s:\n{tail((slow.stderr or b'').decode())}") from None
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}:\n{tail(done.stderr)}")
    return done.stdout


def tail(text):
    return text.strip()[-2000:]


def table(report):
    head = ["", "ours tok/s", "peer tok/s", "ratio", "", "GiB ours / peer", "ratio", "", "peak ours / peer", ""]
    rows = [head, *(cells(line) for line in report["lines"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    print()
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip())


def cells(line):
    summary = line["summary"]

    def floors(*keys):
        signs = dict(speed=">= {}", memory="<= {}", share=">= {:.0%}", gib="<= {} GiB", foretold="foretold within {:.0%}")
        spoken = {True: "ok", False: "MISSED", None: "?"}
        return ", ".join(
            f"{signs[key].format(line['floors'][key])} {spoken[line['verdicts'][key]]}" for key in keys if key in line["floors"]
        )

    def both(key, spell):
        return " / ".join(spelled(summary[key][side], spell) for side in ("ours", "peer"))

    mode = f" ({summary['mode']})" if summary["mode"] else ""
    return [
        f"{line['workload']} {line['title']}".strip(),
        spelled(summary["rate"]["ours"], "{:.0f}".format), spelled(summary["rate"]["peer"], "{:.0f}".format) + mode,
        spelled(summary["speed"], "{:.2f}".format), floors("speed"),
        both("allocated_bytes", lambda value: f"{value / GIB:.2f}"), spelled(summary["memory"], "{:.2f}".format),
        floors("memory", "gib", "foretold"), both("share", "{:.1%}".format), floors("share"),
    ]


def verdict(figures):
    return {True: ", ok", False: ", MISSED", None: ""}[figures.get("ok")]


def spelled(value, spell):
    return "-" if value is None else spell(value)


if __name__ == "__main__":
    main()
