"""Label errors by cleanlab: probabilities and labels to the confident joint and the items off its diagonal."""

import json
import pathlib

import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(20210401)
cases = []
for n, k, noise, sharpness in [(40, 2, 0.1, 2.0), (120, 3, 0.2, 1.5), (300, 10, 0.1, 3.0), (200, 5, 0.3, 0.7), (60, 4, 0.0, 6.0)]:
    truth = rng.integers(0, k, n)
    # Labels are wrong more often for some classes than for others, and classes differ in how sure the model is.
    wrong = rng.random(n) < noise * (0.5 + truth / k)
    given = np.where(wrong, (truth + rng.integers(1, k, n)) % k, truth)
    logits = rng.normal(0, 1, (n, k))
    logits[np.arange(n), truth] += sharpness * (1 + truth / k)
    probabilities = np.round(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 4)
    joint = compute_confident_joint(given, probabilities, calibrate=False)
    found = find_label_issues(given, probabilities, filter_by="confident_learning", n_jobs=1)
    assert len(np.unique(given)) == k
    cases.append({
        "probabilities": probabilities.tolist(), "given": given.tolist(), "joint": joint.tolist(),
        "errors": np.flatnonzero(found).tolist(),
    })
(HERE / "label_errors.json").write_text(json.dumps(cases) + "\n")
print([len(case["errors"]) for case in cases])
