"""Writes figures.json beside it: figures by sacrebleu, rouge-score, NLTK, scikit-learn, torchmetrics and lm-evaluation-harness.

    python3 crates/slm-metrics/tests/goldens/figures/figures.py
"""
import json
import math
import pathlib
import random

import numpy as np
import torch
from lm_eval.api.metrics import exact_match_hf_evaluate
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF
from scipy.optimize import minimize_scalar
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

# Answer, references. Written for this file.
PAIRS = [
    ("Your parcel left our store on Monday.", ["Your parcel left the store on Monday."]),
    ("The refund was paid, and it takes 3-5 days.", ["The refund is paid; it takes 3-5 working days.", "It takes 3-5 days until the refund is paid."]),
    ("It costs 1,234.50 EUR (incl. 19% VAT).", ["The price is 1,234.50 EUR, VAT included."]),
    ("", ["Nothing was said."]),
    ("Something was said.", [""]),
    ("", [""]),
    ("yes", ["yes"]),
    ("no", ["yes"]),
    ("the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]),
    ("Größe 42 ist ausverkauft!", ["Die Größe 42 ist leider ausverkauft."]),
    ("商品已于周一发货。", ["您的商品已在周一发货。"]),
    ("Заказ отправлен в понедельник", ["Ваш заказ был отправлен в понедельник"]),
    ("ok 👍🏽 thanks", ["okay 👍🏽, thanks!"]),
    ("a &quot;quoted&quot; &amp;lt; line", ['a "quoted" < line']),
    ("soft-\nhyphen and\nlines", ["softhyphen and lines"]),
    ("e.g. v1.2.3, i.e. ...", ["e.g. v1.2.3 i.e. …"]),
    ("tabs\tand\u00a0hard\u2009spaces\u3000here ", ["tabs and hard spaces here"]),
    ("<skipped> words - and dashes 7- x-7", ["words and dashes 7 - x-7"]),
    ("{\"order\": 12, \"items\": [1, 2]}", ["{\"order\": 12, \"items\": [1, 3]}"]),
    ("running runners ran easily through flying studies", ["the runner runs easily; studied flight"]),
    ("İstanbul ﬁle Straße", ["istanbul file strasse"]),
    ("one two three", ["one two three four five six seven eight nine ten"]),
]
WORDS = """caress caresses ponies ties cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned falling hissing fizzed failing
filing happy sky skies spy enjoy enjoyment relational conditional rational valency hesitancy digitizer conformably radically differently vilely analogously
vietnamization predication operator feudalism decisiveness hopefulness callousness formality sensitivity sensibility triplicate formative formalize
electricity electrical hopeful goodness revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent
adoption homologous communism activate angularity effective bowdlerize probate rate cease controlling rolling dying lying news innings proceed tied died
cried flies analogy geology fulfilled totally usefully skiing yyyy oy ayes by 1990s 3rds b2bs opening eeds ions ing eed""".split()


def texts():
    bleu, chrf = BLEU(), CHRF()
    for answer, references in PAIRS:
        sentence = BLEU(effective_order=True).sentence_score(answer, references)
        row = dict(answer=answer, references=references, bleu=sentence.score, chrf=chrf.sentence_score(answer, references).score)
        for stemmed in (False, True):
            scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stemmed)
            key = "rouge_stemmed" if stemmed else "rouge"
            row[key] = {kind: [s.precision, s.recall, s.fmeasure] for kind, s in scorer.score_multi(references, answer).items()}
        yield row


def corpora():
    for chosen in (PAIRS, PAIRS[:3], PAIRS[6:8], PAIRS[3:6], PAIRS[9:13], PAIRS[6:7]):
        answers = [answer for answer, _ in chosen]
        most = max(len(references) for _, references in chosen)
        streams = [[r[i] if i < len(r) else None for _, r in chosen] for i in range(most)]
        start = PAIRS.index(chosen[0])
        yield dict(
            start=start, n=len(chosen), bleu=BLEU().corpus_score(answers, streams).score, chrf=CHRF().corpus_score(answers, streams).score
        )


def matches():
    pairs = [("The Answer: 42.", "the answer 42"), ("#### 7", "7"), ("A, b", "a b"), ("x", "y"), ("Ünï!", "ünï"), (" a", "a"), ("ΣΑΣ", "σας")]
    for output, target in pairs:
        for bits in range(8):
            keys = ["ignore_case", "ignore_punctuation", "ignore_numbers"]
            options = {key: bool(bits >> i & 1) for i, key in enumerate(keys)}
            for regexes in ([], ["#### "], [",", "(?i)THE "]):
                score = exact_match_hf_evaluate([output], [target], regexes_to_ignore=regexes or None, **options)
                yield dict(output=output, target=target, regexes=regexes, matches=bool(score["exact_match"]), **options)


def labels():
    draw = random.Random(1)
    for n, n_labels, right in [(200, 5, 0.7), (200, 77, 0.6), (50, 2, 0.5), (7, 3, 0.0), (20, 4, 1.0), (12, 1, 1.0)]:
        truth = [draw.randrange(n_labels) for _ in range(n)]
        predicted = [t if draw.random() < right else draw.randrange(n_labels) for t in truth]
        precision, recall, f1, support = sk.precision_recall_fscore_support(truth, predicted, labels=range(n_labels), zero_division=0)
        yield dict(
            truth=truth,
            predicted=predicted,
            n_labels=n_labels,
            micro=sk.f1_score(truth, predicted, average="micro"),
            macro=sk.f1_score(truth, predicted, average="macro", zero_division=0),
            weighted=sk.f1_score(truth, predicted, average="weighted", zero_division=0),
            accuracy=sk.accuracy_score(truth, predicted),
            mcc=sk.matthews_corrcoef(truth, predicted),
            precision=list(precision),
            recall=list(recall),
            f1=list(f1),
            support=[int(n) for n in support],
            matrix=sk.confusion_matrix(truth, predicted, labels=range(n_labels)).tolist() if n_labels < 77 else None,
        )


def calibrations():
    draw = np.random.default_rng(2)
    for n, n_labels, sharpness in [(300, 5, 3.0), (60, 77, 6.0), (60, 2, 1.0), (200, 3, 0.5)]:
        logits = draw.normal(size=(n, n_labels)) * sharpness
        truth = [int(draw.choice(n_labels, p=np.exp(row * 0.5) / np.exp(row * 0.5).sum())) for row in logits]
        logits = np.round(logits - 40.0, 2)
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)

        def loss(temperature):
            scaled = logits / temperature
            scaled -= scaled.max(1, keepdims=True)
            return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[range(n), truth]))

        found = minimize_scalar(lambda log: loss(math.exp(log)), bounds=(-4.6, 4.6), method="bounded", options=dict(xatol=1e-10))
        yield dict(
            logprobs=logits.tolist(),
            truth=truth,
            # 15 bins, in doubles.
            ece=float(multiclass_calibration_error(torch.tensor(p), torch.tensor(truth), num_classes=n_labels, n_bins=15, norm="l1")),
            brier=sk.brier_score_loss(truth, p, labels=list(range(n_labels)), scale_by_half=False),
            loss=sk.log_loss(truth, p, labels=list(range(n_labels))),
            temperature=math.exp(found.x),
            loss_at=found.fun,
        )


tables = [texts, corpora, matches, labels, calibrations]
goldens = {table.__name__: list(table()) for table in tables}
stemmer = PorterStemmer()
goldens["stems"] = [[word, stemmer.stem(word)] for word in sorted(set(WORDS))]
path = pathlib.Path(__file__).with_name("figures.json")
path.write_text(json.dumps(goldens, ensure_ascii=False, separators=(",", ":")) + "\n")
