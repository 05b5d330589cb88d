"""Writes statistics.json beside it: tests and intervals by scipy and statsmodels.

    python3 crates/slm-metrics/tests/goldens/statistics.py
"""
import json
import pathlib

import numpy as np
import scipy
import statsmodels
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import beta, binom, multinomial, norm, permutation_test, t
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import binom_test, proportion_confint


def clopper_pearson():
    for k, n in [(0, 10), (10, 10), (5, 10), (495, 1001), (1, 1000), (37, 50)]:
        for tail in [0.05, 0.025, 0.01]:
            low, high = proportion_confint(k, n, 2 * tail, "beta")
            yield dict(k=k, n=n, tail=tail, low=low, high=high)


def binomial_tests():
    for k, n, p in [(0, 10, 0.1), (7, 10, 0.5), (130, 200, 0.6), (110, 200, 0.6), (990, 1000, 0.98)]:
        yield dict(k=k, n=n, p=p, above=binom_test(k, n, p, "larger"), below=binom_test(k, n, p, "smaller"))


def holm():
    for p in [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.01], [0.9, 0.8, 0.7], [0.001, 0.0011, 0.0012, 0.04, 0.05]]:
        yield dict(p=p, adjusted=list(multipletests(p, method="holm")[1]))


def permutations():
    rng = np.random.default_rng(1)
    for n in [5, 8, 10, 12]:
        d = np.round(rng.normal(0.3, 0.5, n), 3)
        p = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        yield dict(d=list(d), p=p)


def one_sided_mcnemar():
    for b, c in [(5, 0), (9, 1), (12, 2), (3, 8), (400, 350)]:
        two = mcnemar([[10, b], [c, 10]], exact=True).pvalue
        yield dict(gained=b, lost=c, p=binom.sf(b - 1, b + c, 0.5), two_sided=two)


def likeliest(b, c, n, d):
    """The share of items lost that is likeliest with the difference held at d, by search instead of the closed form."""
    low, high = max(0.0, -d), (1.0 - d) / 2.0

    def loss(q):
        total = 0.0
        for count, share in [(b, q + d), (c, q), (n - b - c, 1 - 2 * q - d)]:
            if count:
                total -= count * np.log(max(share, 1e-300))
        return total

    return minimize_scalar(loss, bounds=(low, high), method="bounded", options=dict(xatol=1e-13)).x


def score(b, c, n, d):
    q = likeliest(b, c, n, d)
    return (b - c - n * d) / np.sqrt(n * (2 * q + d - d * d))


def scores():
    for b, c, n in [(5, 3, 40), (0, 1, 44), (12, 20, 300), (30, 95, 1001), (2, 2, 25), (7, 0, 60)]:
        for d in [-0.1, -0.02, 0.05]:
            yield dict(gained=b, lost=c, n=n, limit=d, z=score(b, c, n, d))


def score_intervals():
    for b, c, n, tail in [(5, 3, 40, 0.05), (12, 20, 300, 0.025), (30, 95, 1001, 0.05), (7, 2, 60, 0.05)]:
        z = norm.ppf(1 - tail)
        low = brentq(lambda d: score(b, c, n, d) - z, -0.99, (b - c) / n)
        high = brentq(lambda d: score(b, c, n, d) + z, (b - c) / n, 0.99)
        yield dict(gained=b, lost=c, n=n, tail=tail, low=low, high=high)


def exact_paired():
    """Every table, at every share of disagreement of a fine grid."""
    for b, c, n, d in [(3, 1, 20, -0.1), (2, 3, 30, -0.15), (1, 1, 25, -0.05), (6, 1, 24, 0.05)]:
        tables = [(x, y) for x in range(n + 1) for y in range(n + 1 - x)]
        observed = score(b, c, n, d)
        beyond = [(x, y, n - x - y) for x, y in tables if score(x, y, n, d) >= observed - 1e-7]
        worst = 0.0
        for psi in np.linspace(abs(d) + 1e-9, 1 - 1e-9, 1500):
            p = np.array([(psi + d) / 2, (psi - d) / 2, 1 - psi])
            worst = max(worst, multinomial.pmf(beyond, n, p).sum())
        yield dict(gained=b, lost=c, n=n, limit=d, p=max(worst, norm.sf(observed)))


def clustered():
    """Korn and Graubard's effective sample, and its interval, over scipy's beta and t."""
    rng = np.random.default_rng(2)
    for sizes, spread in [([4] * 25, 2.0), ([1, 2, 3, 4, 5] * 6, 0.7), ([2] * 40, 0.0), ([10] * 8, 3.0)]:
        right, group = [], []
        for g, size in enumerate(sizes):
            p = 1 / (1 + np.exp(-(1.0 + spread * rng.normal())))
            right += [int(rng.random() < p) for _ in range(size)]
            group += [g] * size
        y, g = np.array(right), np.array(group)
        n, G = len(y), len(sizes)
        p = y.mean()
        v = G / (G - 1) * sum(((y[g == i] - p).sum() / n) ** 2 for i in range(G))
        m = min(p * (1 - p) / v * (t.ppf(0.975, n - 1) / t.ppf(0.975, G - 1)) ** 2, n)
        k = p * m
        yield dict(right=right, group=group, n=m, low=beta.ppf(0.05, k, m - k + 1), high=beta.ppf(0.95, k + 1, m - k))


def proportion_power():
    for n, limit, truth in [(200, 0.6, 0.7), (50, 0.9, 0.97), (1000, 0.5, 0.53)]:
        k = next(k for k in range(n + 2) if binom.sf(k - 1, n, limit) <= 0.05)
        yield dict(n=n, limit=limit, truth=truth, power=binom.sf(k - 1, n, truth))


tables = dict(
    clopper_pearson=clopper_pearson, binomial_tests=binomial_tests, holm=holm, permutations=permutations,
    one_sided_mcnemar=one_sided_mcnemar, scores=scores, score_intervals=score_intervals, exact_paired=exact_paired,
    clustered=clustered, proportion_power=proportion_power,
)
out = {name: [{k: float(v) if isinstance(v, np.floating) else v for k, v in row.items()} for row in make()] for name, make in tables.items()}
path = pathlib.Path(__file__).with_name("statistics.json")
path.write_text(json.dumps(out, indent=1) + "\n")
print(path, "scipy", scipy.__version__, "statsmodels", statsmodels.__version__, "numpy", np.__version__)
