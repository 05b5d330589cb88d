"""Do two folders of goldens hold the same? python tests/goldens/compare.py OUTDIR [data]

Same files, same tensors, same dtypes; integers and configurations equal, floats within 1e-6 of the largest value of
their tensor. Losses after many steps are held to 1e-5: rounding is carried on from step to step. facts.json and the
digests, which say how far another machine's rounding goes, are not compared.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

TOLERANCE = 1e-6
TRAINED_TOLERANCE = 1e-5
MEASURED = {"facts.json", "SHA256SUMS"}


def files(folder):
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path for path in found if path.name not in MEASURED}


def difference(new, old):
    """As a share of the largest value; infinite where shapes or dtypes differ."""
    if new.shape != old.shape or new.dtype != old.dtype:
        return float("inf")
    if not old.dtype.is_floating_point:
        return 0.0 if torch.equal(new, old) else float("inf")
    largest = float(old.double().abs().max()) or 1.0
    return float((new.double() - old.double()).abs().max()) / largest


def compare(new, old):
    """Lines that say what differs, and the largest difference found."""
    wrong, worst = [], 0.0
    for name in sorted(files(new) ^ files(old)):
        wrong.append(f"{name}: in one folder only")
    for name in sorted(files(new) & files(old)):
        if name.suffix != ".safetensors":
            if (new / name).read_text() != (old / name).read_text():
                wrong.append(f"{name}: differs")
            continue
        left, right = load_file(new / name), load_file(old / name)
        wrong += [f"{name}: `{key}` in one folder only" for key in sorted(left.keys() ^ right.keys())]
        for key in sorted(left.keys() & right.keys()):
            off = difference(left[key], right[key])
            worst = max(worst, off)
            if off > (TRAINED_TOLERANCE if key.startswith("train.") else TOLERANCE):
                wrong.append(f"{name}: `{key}` differs by {off:.1e} of its largest value")
    return wrong, worst


def main(new, old=Path(__file__).parent / "data"):
    wrong, worst = compare(Path(new), Path(old))
    print("\n".join([*wrong, f"largest difference: {worst:.1e}"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
