"""Adapters over bases in NF4, as transformers, PEFT and bitsandbytes train them."""

import contextlib
import functools

import torch
from bitsandbytes.nn import Linear4bit
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

import inputs

# Plain, with magnitudes, with biases, transposed (Conv1D), fused.
ADAPTERS = ("llama/lora", "llama/dora", "qwen2/dora", "gpt2/lora", "phi3_longrope/lora")


def write(out):
    with without_kernels():
        return answers(out)


def answers(out):
    """ADAPTER/qlora_ref.safetensors, from models and adapters that are there already; returns how far codes move the loss."""
    facts = {}
    for adapter in ADAPTERS:
        family = adapter.split("/")[0]
        tensors = {}
        for name, nested in dict(nf4=False, nf4_double=True).items():
            model = load(out / family / "model", out / adapter, nested)
            got = model(**inputs.plain())
            got.loss.backward()
            tensors[f"{name}.logits"] = got.logits.detach()
            tensors[f"{name}.loss"] = got.loss.detach().reshape(1)
            for key, weight in model.named_parameters():
                if weight.grad is not None:
                    tensors[f"{name}.grad.{key.replace('.default', '')}"] = weight.grad
            facts[f"{adapter}.{name}"] = float(got.loss)
        save_file({key: value.contiguous().clone() for key, value in tensors.items()}, out / adapter / "qlora_ref.safetensors")
    return facts


@contextlib.contextmanager
def without_kernels():
    """bitsandbytes' own code for devices without a kernel, which does as its CUDA kernels do (0.50.2).

    Of its kernels for processors, the one that dequantizes takes the scale of another block where a row is not a whole
    number of blocks, as in these small models, and the one that quantizes scales finds values below 1e-3 by a coarser table.
    """
    kernels = torch.library.Library("bitsandbytes", "IMPL")
    for name in ("dequantize_4bit", "quantize_blockwise"):
        kernel = getattr(torch.ops.bitsandbytes, name).default
        plain = functools.partial(kernel._op_dk, torch._C.DispatchKey.CompositeExplicitAutograd)
        kernels.impl(name, plain, "CPU", allow_override=True)
    try:
        yield
    finally:
        kernels._destroy()


def load(folder, adapter, nested):
    """The base in NF4 with its adapter, ready to differentiate."""
    return computing_in_f32(PeftModel.from_pretrained(load_base(folder, nested), adapter, is_trainable=True).eval())


def load_base(folder, nested):
    """The base in NF4."""
    codes = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=nested,
        bnb_4bit_compute_dtype=torch.float32,
    )
    return AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=codes, dtype=torch.float32, attn_implementation="eager", device_map="cpu"
    )


def computing_in_f32(model):
    """On a processor that has it, bitsandbytes would compute in bf16 outside training, whatever was asked for."""
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.training = True
    return model
