"""SHA256SUMS of a folder of goldens, in the format of sha256sum."""

import hashlib
from pathlib import Path

NAME = "SHA256SUMS"


def write(folder):
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != NAME)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (Path(folder) / NAME).write_text("".join(lines))
