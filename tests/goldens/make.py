"""Makes the goldens: python tests/goldens/make.py OUTDIR [PART...]

A part is a family (families.py), `batches`, `compressed`, `distillation`, `hidden`, `losses`, `observed`, `on_policy`, `optimizers`, `preference`, `qlora`, `quantized`, `schedules`, `teaching` or `uld`; all of them if none is named.
PROVENANCE.md says what the files are.
"""

import json
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import adapters  # noqa: E402
import bf16  # noqa: E402
import compressed_matrices  # noqa: E402
import digests  # noqa: E402
import distillation  # noqa: E402
import full  # noqa: E402
import hidden  # noqa: E402
import inputs  # noqa: E402
import losses  # noqa: E402
import models  # noqa: E402
import observed  # noqa: E402
import on_policy  # noqa: E402
import optimizers  # noqa: E402
import preference  # noqa: E402
import qlora  # noqa: E402
import quantized  # noqa: E402
import references  # noqa: E402
import schedules  # noqa: E402
import teaching  # noqa: E402
import uld  # noqa: E402
from families import FAMILIES  # noqa: E402


def family(name, out):
    """Everything of one family; returns what was measured."""
    wanted, folder = FAMILIES[name], out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    models.write(wanted, folder / "model")
    model = models.read(folder / "model")
    facts = dict(base=references.write(wanted, model, folder / "base_ref.safetensors"))
    facts["traps"] = references.traps(wanted, folder / "model", model)
    facts["adapters"] = {kind: adapters.write(kind, wanted, model, folder / kind) for kind in wanted.adapters}
    if wanted.full:
        facts["full"] = full.write(folder / "model", folder / "full_ref.safetensors")
    if wanted.bf16:
        facts["bf16"] = bf16.write(folder / "model", folder / "bf16_ref.safetensors")
    return facts


def batches(out):
    steps = enumerate(inputs.train_batches())
    tensors = {f"step{step}.{key}": value for step, batch in steps for key, value in batch.items()}
    save_file(tensors, out / "train_batches.safetensors")
    return {}


def main(out, *parts):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    facts_file = out / "facts.json"
    facts = json.loads(facts_file.read_text()) if facts_file.exists() else {}
    others = dict(
        batches=batches,
        compressed=compressed_matrices.write,
        distillation=distillation.write,
        hidden=hidden.write,
        losses=losses.write,
        observed=observed.write,
        on_policy=on_policy.write,
        optimizers=optimizers.write,
        preference=preference.write,
        qlora=qlora.write,
        quantized=quantized.write,
        schedules=schedules.write,
        teaching=teaching.write,
        uld=uld.write,
    )
    for part in parts or [*FAMILIES, *others]:
        start = time.monotonic()
        facts[part] = others[part](out) if part in others else family(part, out)
        print(f"{part}: {time.monotonic() - start:.1f} s", flush=True)
    facts_file.write_text(json.dumps(dict(sorted(facts.items())), indent=1) + "\n")
    digests.write(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
