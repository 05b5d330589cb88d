"""llama.cpp beside slm-tune on one GGUF file: python tests/peers/llama_greedy.py SLM_TUNE FILE

The Python one with llama-cpp-python (README.md). Twenty prompts, each cut into the same ids and continued greedily into the same
text, and the loss of each text within half a percent. FILE is best one of floats: where weights are blocks, the two round what
they multiply with differently, and a continuation may part where two tokens are nearly alike.
"""

import json
import subprocess
import sys

import numpy as np
from llama_cpp import Llama

from report import Report

N_NEW = 24
# The difference of mean losses that changes a perplexity by half a percent.
LOSS = 0.005
SUBJECTS = ("my order", "a refund", "the blue shoes", "delivery to Oslo", "an invoice from 2024")
FORMS = (
    "Where is {}?",
    "I have a question about {}: who can help me?",
    "Please cancel {} today, and send 2 receipts.",
    "  {} was damaged!!\nWhat now",
)


def main(slm_tune, file):
    report = Report()
    model = Llama(file, n_ctx=512, logits_all=True, verbose=False)
    for text in (form.format(subject) for form in FORMS for subject in SUBJECTS):
        ours = run(slm_tune, "logits", file, "--text", text)
        ids = model.tokenize(text.encode(), add_bos=True, special=True)
        report.same("greedy", repr(text[:28]), "ids", ids == ours["ids"])
        loss = mean_loss(model, ids)
        report.add("greedy", repr(text[:28]), "loss", abs(loss - ours["mean_loss"]), LOSS)
        theirs = model(text, max_tokens=N_NEW, temperature=0)["choices"][0]["text"]
        answer = run(slm_tune, "generate", file, "--raw", "--prompt", text, "--max-new-tokens", str(N_NEW))["answer"]
        report.same("greedy", repr(text[:28]), "text", theirs.strip() == answer.strip())
    print(f"{report.rows} comparisons, {report.failed} wrong")
    return int(report.failed > 0)


def run(slm_tune, *arguments):
    done = subprocess.run([slm_tune, *arguments, "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def mean_loss(model, ids):
    model.reset()
    model.eval(ids)
    logits = np.array(model.scores[: len(ids) - 1], dtype=np.float64)
    largest = logits.max(axis=1, keepdims=True)
    norms = largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1))
    return float(np.mean(norms - logits[np.arange(len(ids) - 1), ids[1:]]))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:3]))
