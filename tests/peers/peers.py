"""The entry: python peers.py BINARY [options]. `run` sets the environment that it wants."""

import argparse
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
import transformers

import answers
import compressed
import event_files
import gguf_files
import judged
import noise
import peft_adapters
import training
from report import Report
from tool import Tool

CHECKS = dict(
    answers=answers, adapters=peft_adapters, training=training, judged=judged, neftune=noise, gguf=gguf_files,
    compressed=compressed, events=event_files,
)


def parse():
    parser = argparse.ArgumentParser(description="Compare slm-tune with transformers, peft, trl, bitsandbytes, gguf-py, compressed-tensors and tensorboard.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--device", default="cpu", help="of slm-tune; the other side runs on the CPU")
    parser.add_argument("--only", default=",".join(CHECKS), help="some of the checks, with commas between")
    parser.add_argument("--model", type=Path, action="append", default=[], help="one more model folder to compare")
    parser.add_argument("--keep", type=Path, help="a new folder for models, recipes and runs, kept afterwards")
    return parser.parse_args()


def main():
    arguments = parse()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.disable_progress_bar()
    began, report = time.monotonic(), Report()
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.keep or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        for check in arguments.only.split(","):
            tool = Tool(arguments.binary, arguments.device, (work / check).absolute())
            tool.work.mkdir()
            CHECKS[check].run(tool, report, [folder.absolute() for folder in arguments.model])
    print(f"{report.rows} comparisons, {report.failed} wrong, {time.monotonic() - began:.0f} s")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
