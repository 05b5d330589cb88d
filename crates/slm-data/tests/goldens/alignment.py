"""alignment.json: python alignment.py ../../../../../shared/tokenizers

Where tokens of two real tokenizers begin together, by `_align_by_byte_offsets` of TRL's GOLD trainer. Only texts of which every token covers
whole characters, as that function reads offsets of characters; and no student that writes a blank before a text, as Phi-3's does: within a row
that blank is text.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

from tokenizers import Tokenizer  # noqa: E402
from trl.experimental.gold.gold_trainer import ULDLoss  # noqa: E402

FILES = dict(
    smollm2="smollm2/tokenizer.json",
    gpt2="gpt2/tokenizer.json",
    qwen2="qwen2/derived/tokenizer.json",
    phi3="phi3/tokenizer.json",
)
PAIRS = (("smollm2", "gpt2"), ("gpt2", "qwen2"), ("qwen2", "smollm2"), ("smollm2", "phi3"))
TEXTS = (
    "The parcel was returned unopened on 2024-05-17; refund 1234.50 EUR.",
    "def add(a, b):\n    return a + b  # antidisestablishmentarianism",
    "Überraschung: naïve café déjà vu, straße",
    "   leading blanks\n\n\tand tabs",
)


def ranges(encoding, text):
    """Ids and bytes of each token; None where one covers less than a character."""
    spans = encoding.offsets
    if any(a == b for a, b in spans) or any(first[1] > then[0] for first, then in zip(spans, spans[1:])):
        return None
    return [[len(text[:at].encode()) for at in span] for span in spans]


def main(folder):
    tokenizers = {name: Tokenizer.from_file(str(Path(folder) / path)) for name, path in FILES.items()}
    cases = []
    for student, teacher in PAIRS:
        for text in TEXTS:
            encodings = [tokenizers[name].encode(text, add_special_tokens=False) for name in (student, teacher)]
            spans = [ranges(it, text) for it in encodings]
            if None in spans:
                continue
            groups = ULDLoss._align_by_byte_offsets(*spans)
            both = [[a[0], b[0]] for a, b in zip(*groups)]
            cases.append(dict(student=student, teacher=teacher, text=text, ids=[it.ids for it in encodings], both=both))
    Path(__file__).with_suffix(".json").write_text(json.dumps(cases, ensure_ascii=False) + "\n")
    print(len(cases), [len(case["both"]) for case in cases])


if __name__ == "__main__":
    main(sys.argv[1])
