"""Where things lie, and the models that the checks use."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "tests" / "goldens"
BASE = ROOT / "datasets" / "base" / "slm-base-2m"

sys.path.insert(0, str(GOLDENS))

import models  # noqa: E402
from families import FAMILIES  # noqa: E402

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def golden_models():
    """The committed model folders by family."""
    return {name: GOLDENS / "data" / name / "model" for name in FAMILIES}


def with_tokenizer(name, folder, config=None, **others):
    """A family's random model in f32 with the vocabulary of the shipped base, so that it can be trained.

    `config` replaces keys of the family's, `others` its other fields.
    """
    shipped = json.loads((BASE / "config.json").read_text())
    keys = {key: shipped[key] for key in ("vocab_size", "eos_token_id", "pad_token_id")}
    family = FAMILIES[name]
    family = dataclasses.replace(family, config={**family.config, **(config or {}), **keys}, **others)
    models.write(family, folder, torch.float32)
    for file in TOKENIZER:
        shutil.copy(BASE / file, folder)
    return folder
