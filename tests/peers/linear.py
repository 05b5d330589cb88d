"""Whether the cost of a step grows in proportion to tokens, at a fixed length, and to layers.

    python tests/peers/linear.py target/release/slm-tune [--device cpu,libtorch:cpu]

Steps of the 135M shape over 1, 2 and 4 rows of 256 tokens, and of 8, 16 and 32 of its layers; medians, and how many times
the smallest they are. The embedding, the head and what a step costs by itself do not grow with layers: the difference
between two depths is what layers cost. Needs Python alone.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SHAPE = HERE / "shapes/smollm2-135m/config.json"
ROUNDS = 3


def step_s(binary, device, base, batch):
    command = [
        binary, "bench", HERE / "shapes/lora.toml", "--random-weights", "--json", "--steps=3", "--warmup=1",
        f"--batch={batch}", "--length=256", f"model.base_model={base}", f"model.device={device}",
    ]
    spoken = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(spoken)["training"]["median_step_s"]


def shape(folder, layers):
    config = json.loads(SHAPE.read_text())
    config["num_hidden_layers"] = layers
    path = Path(folder) / f"{layers}-layers"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shapes = {layers: shape(folder, layers) for layers in (8, 16, 32)}
        for device in arguments.device.split(","):
            cases = {f"{n} x 256 tokens": (SHAPE.parent, n) for n in (1, 2, 4)}
            cases |= {f"{layers} layers": (base, 1) for layers, base in shapes.items()}
            # Rounds, so that what else the machine does falls on all cases alike.
            seconds = {name: [] for name in cases}
            for _ in range(ROUNDS):
                for name, (base, batch) in cases.items():
                    seconds[name].append(step_s(arguments.binary, device, base, batch))
            median = {name: statistics.median(of) for name, of in seconds.items()}
            print(device)
            for name, value in median.items():
                first = next(iter(median)) if "tokens" in name else "8 layers"
                print(f"  {name:<14} {value * 1e3:8.0f} ms   {value / median[first]:.2f} times")
            few, some, many = (median[f"{layers} layers"] for layers in (8, 16, 32))
            print(f"  a layer costs {(some - few) / 8 * 1e3:.1f} ms from 8 to 16, {(many - some) / 16 * 1e3:.1f} ms from 16 to 32")


main()
