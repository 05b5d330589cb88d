"""Whether a student of a teacher beats the same student on the labels alone, over several seeds.

    python3 examples/02-a-student-from-its-teacher/seeds.py target/release/slm-tune --seeds 1 2 3

Trains the teacher once (all rows of the shop), and for each seed a student of `recipes/distill/retail.toml` with and without
`[distill]`, which differ in nothing else. A run that is there already is taken as it is, and one that was interrupted goes on, so
that this can be stopped and started again. Then it pairs the students item by item, the seeds of an item together: the difference,
a bootstrap interval over items, and the share of sign flips that give as much (paired, two-sided). Python's own library is enough.

`--set KEY=VALUE` goes to every run (`--set train.max_steps=2` for a trial), `--distill KEY=VALUE` to the students of the teacher
(`--distill distill.lmbda=0.5`); give `--runs` a folder of its own then.
"""

import argparse
import json
import random
import statistics
import subprocess
from pathlib import Path

RECIPE = "recipes/distill/retail.toml"
DRAWS = 10_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=Path("runs/retail-seeds"))
    parser.add_argument("--task", default="intent")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--distill", action="append", default=[])
    options = parser.parse_args()
    teacher = options.runs / "teacher"
    run(options, "train", teacher, "recipes/quickstart.toml", "train.num_train_epochs=6")
    scores = {"labels alone": [], "from the teacher": []}
    for seed in options.seeds:
        scores["labels alone"].append(student(options, "train", seed, []))
        scores["from the teacher"].append(student(options, "distill", seed, [f"distill.teacher.path={teacher}", *options.distill]))
    report(options, read(teacher, options.task), scores)


def student(options, verb, seed, more):
    """Whether each item is right, by its place."""
    folder = options.runs / f"{verb}-{seed}"
    recipe = RECIPE if verb == "distill" else alone(options.runs)
    run(options, verb, folder, recipe, f"seed={seed}", *more)
    return read(folder, options.task)


def alone(folder):
    """The student's recipe up to `[distill]`."""
    text = Path(RECIPE).read_text().split("\n[distill]\n")[0].replace("../quickstart.toml", str(Path("recipes/quickstart.toml").resolve()))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "labels-alone.toml"
    path.write_text(text)
    return path


def run(options, verb, folder, recipe, *overrides):
    state = folder / "run.json"
    stages = json.loads(state.read_text())["stages"] if state.exists() else {}
    if stages.get("report", {}).get("status") == "done":
        return
    if (folder / "checkpoints").exists() and stages.get("train", {}).get("status") != "done":
        command = [options.binary, "resume", folder]
    else:
        named = [f"name={folder.name}", f"output_dir={folder}", "export.gguf=[]", *options.set]
        command = [options.binary, verb, recipe, *named, *overrides]
    print("+", " ".join(map(str, command)), flush=True)
    subprocess.run(list(map(str, command)), check=True)


def read(folder, task):
    lines = (folder / "eval/tuned" / task / "samples.jsonl").read_text().splitlines()
    return [bool(json.loads(line)["correct"]) for line in lines]


def report(options, teacher, scores):
    share = lambda items: 100 * sum(items) / len(items)  # noqa: E731
    print(f"\n{options.task}, {len(teacher)} items; the teacher has {share(teacher):.1f} %")
    for name, students in scores.items():
        print(f"{name:17}", "  ".join(f"{share(it):5.1f} %" for it in students))
    before, after = scores.values()
    items = range(len(teacher))
    gains = [statistics.mean(b[i] - a[i] for a, b in zip(before, after)) for i in items]
    draw = random.Random(1)
    means = sorted(statistics.fmean(draw.choices(gains, k=len(gains))) for _ in range(DRAWS))
    low, high = (100 * means[int(DRAWS * at)] for at in (0.025, 0.975))
    gain = statistics.fmean(gains)
    flips = (abs(statistics.fmean(g if draw.random() < 0.5 else -g for g in gains)) for _ in range(DRAWS))
    p = (1 + sum(flipped >= abs(gain) - 1e-12 for flipped in flips)) / (1 + DRAWS)
    print(f"{'gain':17} {100 * gain:+.1f} points, {low:+.1f} to {high:+.1f}, p = {p:.3f}")


if __name__ == "__main__":
    main()
