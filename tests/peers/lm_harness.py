"""lm-evaluation-harness and `slm-tune eval --suite` on the same files, rows and model: every request and every figure.

    python tests/peers/lm_harness.py target/release/slm-tune --model MODEL --tasks TASKS   tasks as lm-evaluation-harness ships them
    python tests/peers/lm_harness.py target/release/slm-tune                               the project's own tasks and base
    python tests/peers/lm_harness.py target/release/slm-tune --write                       and keep them as the goldens of slm-eval
    python tests/peers/lm_harness.py target/release/slm-tune --speed --model MODEL         77 choices: time here and there
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import yaml
from lm_eval import evaluator
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "crates/slm-eval/tests/goldens/harness"
BASE = ROOT / "datasets/base/slm-base-2m"
# Of a log-likelihood, in nats: absolute, and for long texts as a share.
ALLOWED, SHARE = 1e-4, 2e-6

NAMES = ["Tom", "Lily", "Ben", "Anna", "Max", "Mia", "Sam", "Sue"]
THINGS = ["a ball", "a red hat", "a big dog", "a small boat", "an old book", "a sweet cake", "a shiny key", "a toy car"]
PLACES = ["the park", "the garden", "the big tree", "the river", "the house", "the shop", "the school", "the hill"]
DEEDS = ["played with", "looked for", "lost", "found", "wanted", "carried", "painted", "shared"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("--model", type=Path, default=BASE)
    parser.add_argument("--tasks", type=Path, help="a folder of tasks of lm-evaluation-harness")
    parser.add_argument("--rows", type=int, default=12, help="rows of each task")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--banking77", type=Path, help="train.csv, for --speed")
    arguments = parser.parse_args()
    # The programs run in a folder of their own.
    for name in ("binary", "model", "tasks", "banking77"):
        if path := getattr(arguments, name):
            setattr(arguments, name, path.resolve())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if arguments.speed:
            return speed(arguments, work)
        cases = shipped(arguments, work) if arguments.tasks else own()
        worst = compare(arguments, cases, work)
    return 1 if worst else 0


# The rows


def sentence(draw):
    name, deed, thing, place = (draw.choice(words) for words in (NAMES, DEEDS, THINGS, PLACES))
    return f"{name} {deed} {thing} near {place}"


def story(draw, sentences):
    return " ".join(sentence(draw) + "." for _ in range(sentences))


def made_rows(kind, n, seed):
    """Rows in the columns of a data set of the hub."""
    draw = random.Random(f"{kind} {seed}")
    rows = []
    for number in range(n):
        text = sentence(draw)
        choices = draw.sample(THINGS, 4)
        right = draw.randrange(4)
        letters = ["A", "B", "C", "D"]
        rows.append(
            {
                "arc": lambda: dict(
                    question=f"What did {draw.choice(NAMES)} find?",
                    choices=dict(text=choices, label=letters),
                    answerKey=letters[right],
                ),
                "openbookqa": lambda: dict(
                    question_stem=f"{text} and then saw", choices=dict(text=choices, label=letters), answerKey=letters[right]
                ),
                "piqa": lambda: dict(goal=f"How to get {choices[0]}?", sol1=sentence(draw), sol2=sentence(draw), label=right % 2),
                "lambada": lambda: dict(text=story(draw, 3).rstrip(".")),
                "gsm8k": lambda: gsm8k(draw),
                "mmlu": lambda: dict(question=f" Where was {choices[0]}? ", choices=draw.sample(PLACES, 4), answer=right),
                "truthfulqa": lambda: dict(
                    question=f"What did {draw.choice(NAMES)} want?",
                    mc1_targets=dict(choices=choices, labels=[1, 0, 0, 0]),
                    mc2_targets=dict(choices=choices, labels=[1, 0, 0, 0]),
                ),
                "bbh": lambda: dict(input=f"not ( {right > 1} ) and {number % 2 == 0} is", target=str(right < 2)),
                "hellaswag": lambda: dict(query=text + ". Then", choices=[sentence(draw) for _ in range(4)], label=str(right)),
                "winogrande": lambda: dict(
                    sentence=f"{NAMES[0]} and {NAMES[1]} saw _ because it was big.",
                    option1=choices[0],
                    option2=choices[1],
                    answer=str(1 + right % 2),
                ),
                # Long ones need several windows.
                "page": lambda: dict(page=" " + story(draw, 2 + 60 * (number % 2)) + "\n"),
            }[kind]()
        )
    return rows


def gsm8k(draw):
    a, b = draw.randrange(2, 20), draw.randrange(2, 20)
    name = draw.choice(NAMES)
    return dict(
        question=f"{name} has {a} cakes and gets {b} more. How many cakes does {name} have?",
        answer=f"{name} has {a} + {b} = {a + b} cakes.\n#### {a + b}",
    )


class Case:
    """A task's file, the folder of its rows, and its name."""

    def __init__(self, file, rows):
        self.file, self.rows = Path(file), Path(rows)
        self.config = read_yaml(self.file)
        self.name = self.config["task"]


def read_yaml(file):
    """Keys over those of the files that are included."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: f"!function {node.value}")
    keys = yaml.load(file.read_text(), Loader)
    merged = {}
    includes = keys.pop("include", [])
    for name in [includes] if isinstance(includes, str) else includes:
        merged |= read_yaml(file.parent / name)
    return merged | keys


def shipped(arguments, work):
    """Tasks as the harness ships them; those that need Python with that key written as a template."""
    tasks = arguments.tasks
    template = {
        "wikitext": "include: {}\ntask: wikitext_template\ndoc_to_target: page\nprocess_results: null\n",
        "hellaswag": "include: {}\ntask: hellaswag_template\nprocess_docs: null\n",
        "winogrande": "include: {}\ntask: winogrande_template\n"
        "doc_to_text: \"{{% if answer == '1' %}}0{{% else %}}1{{% endif %}}\"\n"
        "doc_to_choice: \"{{{{[sentence.split('_')[0] + option1, sentence.split('_')[0] + option2]}}}}\"\n"
        "doc_to_target: \"{{{{sentence.split('_')[1].strip()}}}}\"\n",
        "piqa": "include: {}\ntask: piqa_measured\nmetric_list:\n"
        + "".join(f"  - metric: {name}\n" for name in ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "f1", "mcc", "brier_score")),
        "mmlu": "include: {}\ntask: mmlu_anatomy_5_shot\nnum_fewshot: 5\n",
        "openbookqa": "include: {}\ntask: openbookqa_3_shot\nnum_fewshot: 3\n",
    }
    files = [
        ("arc", tasks / "arc/arc_easy.yaml", None),
        ("arc", tasks / "arc/arc_challenge.yaml", None),
        ("arc", tasks / "arc/arc_challenge_chat.yaml", None),
        ("openbookqa", tasks / "openbookqa/openbookqa.yaml", None),
        ("openbookqa", tasks / "openbookqa/openbookqa.yaml", "openbookqa"),
        ("piqa", tasks / "piqa/piqa.yaml", None),
        ("piqa", tasks / "piqa/piqa.yaml", "piqa"),
        ("lambada", tasks / "lambada/lambada_openai.yaml", None),
        ("gsm8k", tasks / "gsm8k/gsm8k.yaml", None),
        ("gsm8k", tasks / "gsm8k/gsm8k-cot.yaml", None),
        ("mmlu", tasks / "mmlu/default/mmlu_anatomy.yaml", None),
        ("mmlu", tasks / "mmlu/default/mmlu_anatomy.yaml", "mmlu"),
        ("truthfulqa", tasks / "truthfulqa/truthfulqa_mc1.yaml", None),
        ("bbh", tasks / "bbh/zeroshot/boolean_expressions.yaml", None),
        ("page", tasks / "wikitext/wikitext.yaml", "wikitext"),
        ("hellaswag", tasks / "hellaswag/hellaswag.yaml", "hellaswag"),
        ("winogrande", tasks / "winogrande/default.yaml", "winogrande"),
    ]
    cases = []
    for number, (kind, file, change) in enumerate(files):
        if change:
            changed = work / f"{change}_{number}.yaml"
            changed.write_text(template[change].format(file))
            file = changed
        rows = work / f"rows_{number}"
        rows.mkdir()
        case = Case(file, rows)
        for split in splits(case.config):
            write_rows(rows / f"{split}.jsonl", made_rows(kind, max(arguments.rows, 8), split))
        cases.append(case)
    return cases


def own():
    """The project's tasks, with their rows beside them."""
    cases = []
    for file in sorted(GOLDENS.glob("*.yaml")):
        rows = GOLDENS / "rows" / file.stem
        case = Case(file, rows)
        rows.mkdir(parents=True, exist_ok=True)
        for split in splits(case.config):
            kind = case.config["metadata"]["rows"]
            write_rows(rows / f"{split}.jsonl", made_rows(kind, 6, split))
        cases.append(case)
    return cases


def splits(config):
    fewshot = (config.get("fewshot_config") or {}).get("split")
    named = [config.get(key) for key in ("training_split", "validation_split", "test_split", "fewshot_split")]
    return sorted({split for split in [*named, fewshot] if split})


def write_rows(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


# Both sides


def harness(lm, case, limit, seed=1234):
    files = {split: str(case.rows / f"{split}.jsonl") for split in splits(case.config)}
    config = case.config | dict(dataset_path="json", dataset_name=None, dataset_kwargs=dict(data_files=files))
    for key in ("tag", "group"):
        config.pop(key, None)
    task = ConfigurableTask(config=config)
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=seed)
    started = time.perf_counter()
    result = evaluator.evaluate(lm=lm, task_dict={case.name: task}, limit=limit, log_samples=True, bootstrap_iters=0)
    return result["results"][case.name], result["samples"][case.name], time.perf_counter() - started


def requests_of(samples):
    """By row: pairs with their log-likelihoods, texts alone with theirs, or what was written."""
    rows = {}
    for sample in samples:
        if sample["doc_id"] in rows:
            continue
        found = []
        for ask, answer in zip(sample["arguments"], sample["resps"]):
            ask, answer = list(ask), answer[0]
            if isinstance(answer, str):
                found.append(dict(context=ask[0], texts=[answer]))
            elif isinstance(answer, (list, tuple)):
                found.append(dict(context=ask[0], continuation=ask[1], logprob=answer[0], greedy=answer[1]))
            else:
                found.append(dict(context="", continuation=ask[0], logprob=answer))
        rows[sample["doc_id"]] = found
    return rows


def ours(binary, model, cases, limit, out):
    command = [binary.resolve(), "--offline", "eval", model, "--device", "cpu", "--limit", limit, "--out", out, "--json", "--quiet"]
    for case in cases:
        command += ["--suite", case.file, "--data", f"{case.name}={case.rows}"]
    started = time.perf_counter()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    elapsed_s = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"slm-tune ended with {done.returncode}: {done.stderr}")
    reports = {report["task"]: report for report in json.loads(done.stdout)}
    return reports, elapsed_s


def compare(arguments, cases, work):
    reports, _ = ours(arguments.binary, arguments.model, cases, arguments.rows, work / "out")
    lm = HFLM(pretrained=str(arguments.model), device="cpu", dtype="float32", batch_size=4)
    failed, kept = 0, {}
    print(f"{'task':32} {'requests':>8} {'tokens':>8} {'largest difference':>20}  figures")
    for case in cases:
        results, samples, _ = harness(lm, case, arguments.rows)
        theirs = requests_of(samples)
        lines = (work / "out" / case.name / "exchanges.jsonl").read_text().splitlines()
        mine = {}
        for exchange in map(json.loads, lines):
            mine.setdefault(exchange["row"], []).append(exchange)
        worst, problems = 0.0, []
        if set(mine) != set(theirs):
            problems.append(f"rows {sorted(mine)} and {sorted(theirs)}")
        for row in sorted(set(mine) & set(theirs)):
            worst = max(worst, same(row, mine[row], theirs[row], problems))
        figures = {f"{it['name']['metric']},{it['name']['filter']}": it["value"] for it in reports[case.name]["metrics"]}
        wanted = {
            name: float(value)
            for name, value in results.items()
            if "," in name and "_stderr" not in name and isinstance(value, (int, float))
        }
        for name, value in wanted.items():
            found = figures.get(name, math.nan)
            exact = 1e-9 if "perplexity" not in name and name.split(",")[0] not in ("bits_per_byte", "brier_score") else 1e-4 * abs(value)
            if not abs(found - value) <= exact:
                problems.append(f"{name} is {found}, there {value}")
        requests = sum(map(len, theirs.values()))
        tokens = sum(json.loads(line)["tokens"] for line in lines)
        said = ", ".join(f"{name} {value:.4f}" for name, value in wanted.items())
        print(f"{case.name:32} {requests:8} {tokens:8} {worst:20.1e}  {said}")
        for problem in problems[:5]:
            print(f"    differs: {problem}")
        failed += bool(problems)
        kept[case.name] = dict(file=case.file.name, requests=theirs, figures=wanted)
    print(f"{len(cases) - failed} of {len(cases)} tasks agree")
    if arguments.write:
        (GOLDENS / "expected.json").write_text(json.dumps(kept, indent=1) + "\n")
    return failed


def same(row, mine, theirs, problems):
    """The largest difference of a row's log-likelihoods; what else differs goes to `problems`."""
    worst = 0.0
    if len(mine) != len(theirs):
        problems.append(f"row {row}: {len(mine)} requests, there {len(theirs)}")
        return math.inf
    for own, other in zip(mine, theirs):
        for key in ("context", "continuation", "texts", "greedy"):
            if key in other and own.get(key) != other[key]:
                problems.append(f"row {row}: {key} {own.get(key)!r}, there {other[key]!r}")
        if "logprob" in other:
            difference = abs(own["logprob"] - other["logprob"])
            worst = max(worst, difference)
            if difference > max(ALLOWED, SHARE * abs(other["logprob"])):
                problems.append(f"row {row}: {own['logprob']}, there {other['logprob']}")
    return worst


# Speed


def speed(arguments, work):
    """Time for 77 choices here, the whole command, and there, without loading; and here for one choice less 75."""
    texts, labels = banking77(arguments)
    rows = [dict(text=text, label=label) for text, label in texts]
    lm = HFLM(pretrained=str(arguments.model), device="cpu", dtype="float32", batch_size=16)
    description = "Which of these does a customer of a bank want? " + ", ".join(labels) + "\n\n"
    # Where the labels do not fit into the context, the prompt cannot name them: each pair would be cut at another place.
    names_labels = len(lm.tok_encode(description)) < lm.max_length / 2
    cases = {}
    for n in (77, 2):
        # Two choices are the fewest that a task has.
        keep = labels[:n]
        folder = work / f"rows_{n}"
        folder.mkdir()
        write_rows(folder / "test.jsonl", [dict(row, label=row["label"] if row["label"] in keep else keep[0]) for row in rows])
        file = work / f"banking_{n}.yaml"
        keys = dict(
            task=f"banking_{n}",
            output_type="multiple_choice",
            test_split="test",
            description=description if names_labels else "",
            doc_to_text="Query: {{text}}\nIntent:",
            doc_to_choice=keep,
            doc_to_target="label",
        )
        file.write_text(yaml.safe_dump(keys))
        cases[n] = Case(file, folder)
    times = {"here": [], "there": [], "two": []}
    for _ in range(2):
        reports, elapsed_s = ours(arguments.binary, arguments.model, [cases[77]], arguments.rows, work / "out")
        times["here"].append(elapsed_s)
        _, elapsed_s = ours(arguments.binary, arguments.model, [cases[2]], arguments.rows, work / "out_2")
        times["two"].append(elapsed_s)
        results, _, elapsed_s = harness(lm, cases[77], arguments.rows)
        times["there"].append(elapsed_s)
    accuracy = [it["value"] for it in reports["banking_77"]["metrics"] if it["name"]["metric"] == "acc"][0]
    prompt = "a prompt that names its labels" if names_labels else "a prompt without the labels"
    print(f"{arguments.rows} rows, 77 choices, {prompt}; accuracy {accuracy:.4f}, there {results['acc,none']:.4f}")
    for name, values in times.items():
        print(f"  {name:6} {' '.join(f'{value:8.2f} s' for value in values)}")
    ratio = min(times["there"]) / min(times["here"])
    print(f"{ratio:.1f} times as fast as lm-evaluation-harness; 77 choices cost {min(times['here']) / min(times['two']):.2f} times two")
    return 0 if ratio >= 3 else 1


def banking77(arguments):
    if arguments.banking77:
        import csv

        with open(arguments.banking77, newline="") as file:
            rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
        labels = sorted({label for _, label in rows})
        return rows[:: max(1, len(rows) // arguments.rows)][: arguments.rows], labels
    draw = random.Random(77)
    labels = sorted({f"{deed}_{thing.split()[-1]}_{n}" for n, (deed, thing) in enumerate((d, t) for d in DEEDS for t in THINGS)})
    labels += [f"other_{n}" for n in range(77 - len(labels))]
    return [(sentence(draw), draw.choice(labels)) for _ in range(arguments.rows)], labels


if __name__ == "__main__":
    sys.exit(main())
