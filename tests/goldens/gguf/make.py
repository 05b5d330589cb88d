"""Makes the goldens of GGUF: python tests/goldens/gguf/make.py [OUTDIR]

Needs llama-cpp-python, gguf, numpy and safetensors; PROVENANCE.md says which, and what the files are.
"""

import json
import sys
from pathlib import Path

import blocks
import ggml
import mixtures

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

import digests  # noqa: E402

PARTS = dict(blocks=blocks, mixtures=mixtures)


def main(out=HERE / "data"):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    facts = ggml.versions() | {name: part.write(out) for name, part in PARTS.items()}
    (out / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    digests.write(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
