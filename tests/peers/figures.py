"""Metrics beside sacrebleu, rouge-score, scikit-learn and torchmetrics, on random texts, labels and scores.

    pip install sacrebleu rouge-score scikit-learn scipy torchmetrics
    cargo build --release -p slm-tune -p slm-metrics --example figures
    python tests/peers/figures.py target/release/examples/figures [SEED]

Prints the largest difference of each figure and ends with 1 if one exceeds 1e-9 of its scale; 1e-6 for temperatures, and for the
calibration error, which torchmetrics adds up in f32.
"""

import json
import math
import random
import subprocess
import sys
import warnings

import numpy as np
import torch
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF
from scipy.optimize import minimize_scalar
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

SYLLABLES = "ing ed es s ly ation ational ness ful er or ize able ible ment ent ion y ies ate al ous ive iti e ll tt cat run hop fly tri rel vis".split()
PIECES = [
    *"the a is not refund parcel Monday 1,234.50 3-5 v1.2 don't e.g. U.S. ... -- 50% #7 <b> &amp; &quot; &lt; <skipped>".split(),
    *"Größe naïve Straße İ ﬁ ΣΑΣ 商品 发货 заказ שלום مرحبا 👍🏽 e\u0301 \u200b \u00ad ½ ² Ⅷ １２ K \x1c \x85 \u2028 \u3000".split(" "),
    *".,;:!?()[]{}/\\|~^`'\"@#$%&*_+=<>-",
]
SPACES = [" ", " ", " ", " ", "", "\n", "\t", "-\n", "\u00a0", "  "]


def a_text(draw):
    n = draw.choice([0, 1, 1, 2, 3, 5, 8, 13, 30])
    word = lambda: draw.choice(PIECES) if draw.random() < 0.6 else "".join(draw.choices(SYLLABLES, k=draw.randint(1, 4)))
    return "".join(word() + draw.choice(SPACES) for _ in range(n))


def a_pair(draw):
    reference = a_text(draw)
    if draw.random() < 0.2:
        return [a_text(draw), reference]
    characters = list(reference)
    for _ in range(draw.randint(0, 4)):
        at = draw.randint(0, len(characters))
        characters[at : at + draw.randint(0, 3)] = draw.choice(PIECES)
    return ["".join(characters), reference]


def of_texts(pairs):
    answers, references = [a for a, _ in pairs], [r for _, r in pairs]
    chrf, sentence = CHRF(), BLEU(effective_order=True)
    scorers = [RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stemmed) for stemmed in (False, True)]
    each = []
    for answer, reference in pairs:
        figures = [sentence.sentence_score(answer, [reference]).score, chrf.sentence_score(answer, [reference]).score]
        for scorer in scorers:
            figures += [score.fmeasure for score in scorer.score(reference, answer).values()]
        each.append(figures)
    return dict(bleu=BLEU().corpus_score(answers, [references]).score, chrf=chrf.corpus_score(answers, [references]).score, each=each)


def of_labels(truth, predicted):
    f1 = lambda average: sk.f1_score(truth, predicted, average=average, zero_division=0)
    return [f1("micro"), f1("macro"), f1("weighted"), sk.matthews_corrcoef(truth, predicted)]


def of_scores(logprobs, truth):
    scores = np.array(logprobs)
    p = torch.softmax(torch.tensor(scores), 1)
    labels = list(range(scores.shape[1]))

    def loss(log):
        scaled = torch.tensor(scores) / math.exp(log)
        return float(torch.nn.functional.cross_entropy(scaled, torch.tensor(truth)))

    found = minimize_scalar(loss, bounds=(math.log(0.01), math.log(100)), method="bounded", options=dict(xatol=1e-12))
    ece = multiclass_calibration_error(p, torch.tensor(truth), num_classes=len(labels), n_bins=15, norm="l1")
    return [float(ece), sk.brier_score_loss(truth, p.numpy(), labels=labels, scale_by_half=False), math.exp(found.x)]


def cases(draw):
    for _ in range(300):
        pairs = [a_pair(draw) for _ in range(draw.choice([1, 1, 2, 5, 20]))]
        yield dict(of="texts", pairs=pairs), of_texts(pairs)
    for _ in range(300):
        n, n_labels = draw.randint(1, 200), draw.choice([1, 2, 3, 10, 77])
        truth = [draw.randrange(n_labels) for _ in range(n)]
        predicted = [t if draw.random() < 0.6 else draw.randrange(n_labels) for t in truth]
        yield dict(of="labels", truth=truth, predicted=predicted), of_labels(truth, predicted)
    numbers = np.random.default_rng(draw.randrange(2**32))
    for _ in range(100):
        # Enough rows that the labels cannot be told apart without error: then the best temperature is no end of the range.
        n, n_labels = draw.randint(100, 300), draw.choice([2, 3, 10, 77])
        scores = numbers.normal(size=(n, n_labels)) * draw.choice([0.5, 2, 5]) - 30
        chosen = scores * draw.choice([0.4, 1, 2]) + numbers.gumbel(size=scores.shape)
        truth = [int(label) for label in chosen.argmax(1)]
        yield dict(of="scores", logprobs=scores.tolist(), truth=truth), of_scores(scores.tolist(), truth)


def main():
    warnings.simplefilter("ignore")
    draw = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    rows = list(cases(draw))
    lines = "".join(json.dumps(row) + "\n" for row, _ in rows)
    spoken = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=True).stdout
    worst, failed = {}, False
    names = {
        "each": ["sentence BLEU", "chrF", "ROUGE-1", "ROUGE-2", "ROUGE-L", *(f"ROUGE-{kind}, stemmed" for kind in "12L")],
        "labels": ["micro F1", "macro F1", "weighted F1", "MCC"],
        "scores": ["ECE", "Brier score", "temperature"],
    }

    def note(name, ours, theirs, row):
        nonlocal failed
        difference = abs(ours - theirs) / max(1.0, abs(theirs))
        n, most = worst.get(name, (0, 0.0))
        worst[name] = (n + 1, max(most, difference))
        if not difference <= (1e-6 if name in ("temperature", "ECE") else 1e-9):
            failed = True
            print(f"{name}: {ours} is not {theirs} of {json.dumps(row)[:200]}")

    for (row, theirs), line in zip(rows, spoken.splitlines(), strict=True):
        ours = json.loads(line)
        if row["of"] == "texts":
            note("corpus BLEU", ours["bleu"], theirs["bleu"], row)
            note("corpus chrF", ours["chrf"], theirs["chrf"], row)
            for pair, a, b in zip(row["pairs"], ours["each"], theirs["each"], strict=True):
                for name, x, y in zip(names["each"], a, b, strict=True):
                    note(name, x, y, pair)
        else:
            for name, x, y in zip(names[row["of"]], ours, theirs, strict=True):
                note(name, x, y, row)
    for name, (n, most) in worst.items():
        print(f"{name:<18} {n:>5} values, largest difference {most:.1e}")
    sys.exit(failed)


main()
