"""Six steps of every optimizer on three weights, and of LoRA+."""

import bitsandbytes
import bitsandbytes.backends.cpu.ops
import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import save_file
from transformers.optimization import Adafactor

import inputs

SHAPES = dict(matrix=(6, 5), vector=(7,), large=(66, 63))
RATES = [0.01, 0.02, 0.03, 0.02, 0.01, 0.005]
WEIGHT_DECAY = 0.1
BETAS = dict(betas=(0.9, 0.98), eps=1e-8)
OPTIMIZERS = dict(
    adamw=lambda groups: torch.optim.AdamW(groups, **BETAS),
    adamw_8bit=lambda groups: bitsandbytes.optim.AdamW(groups, optim_bits=8, **BETAS),
    adafactor=lambda groups: Adafactor(groups, lr=0.01, scale_parameter=False, relative_step=False),
    lion=lambda groups: bitsandbytes.optim.Lion(groups, betas=(0.9, 0.98)),
    sgd=lambda groups: torch.optim.SGD(groups, lr=0.01),
    sgd_momentum=lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9),
)


def write(out):
    """optimizers.safetensors."""
    bitsandbytes.backends.cpu.ops._quant_blockwise_fp32_direct = quantize
    tensors = drawn()
    for name, make in OPTIMIZERS.items():
        tensors.update(run(name, make, tensors))
    tensors.update(loraplus())
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "optimizers.safetensors")
    return {}


def drawn():
    """Weights, two gradients of each, and the two factors of every step; gradients span two decades."""
    tensors = {}
    for seed, (name, shape) in enumerate(SHAPES.items(), start=26):
        generator = inputs.generator(seed)
        tensors[f"{name}.before"] = torch.randn(shape, generator=generator)
        for i in range(2):
            sizes = 10 ** (2 * torch.rand(shape, generator=generator) - 2)
            tensors[f"{name}.gradient{i}"] = torch.randn(shape, generator=generator) * sizes
    tensors["factors"] = torch.randn(len(RATES), 2, generator=inputs.generator(29))
    tensors["lr"] = torch.tensor(RATES, dtype=torch.float64)
    return tensors


def quantize(state, code, scales, codes, blocksize):
    """bitsandbytes' own code for devices without a kernel, which takes the nearest value as its CUDA kernel does.

    Its kernel for processors finds values below 1e-3 by a coarser table, and never takes the 0 (0.50.2).
    """
    kernel = torch.ops.bitsandbytes.quantize_blockwise.default
    found, largest = kernel._op_dk(torch._C.DispatchKey.CompositeExplicitAutograd, state, code, blocksize)
    codes.copy_(found)
    scales.copy_(largest)


def run(name, make, given):
    """The weights after the last step; of the 8-bit optimizer its states, too."""
    weights = {key: torch.nn.Parameter(given[f"{key}.before"].clone()) for key in SHAPES}
    optimizer = make([
        dict(params=[weights["matrix"], weights["large"]], weight_decay=WEIGHT_DECAY),
        dict(params=[weights["vector"]], weight_decay=0.0),
    ])
    for factors, rate in zip(given["factors"], RATES):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for key, weight in weights.items():
            weight.grad = given[f"{key}.gradient0"] * factors[0] + given[f"{key}.gradient1"] * factors[1]
        optimizer.step()
    tensors = {f"{name}.{key}.after": weight.detach().clone() for key, weight in weights.items()}
    if name == "adamw_8bit":
        state = optimizer.state[weights["large"]]
        assert state["state1"].dtype == torch.uint8 and optimizer.state[weights["matrix"]]["state1"].dtype == torch.float32
        for i in (1, 2):
            codes, scales, values = state[f"state{i}"], state[f"absmax{i}"], state[f"qmap{i}"]
            tensors[f"{name}.map{i}"] = values
            read = bitsandbytes.functional.dequantize_blockwise(codes, absmax=scales, code=values, blocksize=256)
            tensors[f"{name}.large.state{i}"] = read
    return tensors


def loraplus():
    """Three AdamW steps on one adapter, B sixteen times as fast as A."""
    generator = inputs.generator(30)
    base = torch.nn.Sequential(torch.nn.Linear(5, 4, bias=False))
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["0"]))
    weights = {name.split(".")[-3]: weight for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=0.01, loraplus_lr_ratio=16, loraplus_weight_decay=WEIGHT_DECAY, **BETAS
    )
    tensors = {}
    for name, weight in weights.items():
        weight.data = torch.randn(weight.shape, generator=generator)
        weight.grad = torch.randn(weight.shape, generator=generator)
        tensors[f"loraplus.{name}.before"] = weight.detach().clone()
        tensors[f"loraplus.{name}.gradient"] = weight.grad.clone()
    for _ in range(3):
        optimizer.step()
    tensors.update({f"loraplus.{name}.after": weight.detach().clone() for name, weight in weights.items()})
    return tensors
