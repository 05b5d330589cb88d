"""A student's own answers, and what TRL's GKD trainer makes of them with a teacher of another family.

The student is `llama/model` with the adapter `llama/lora`, the teacher `qwen3/model` as it is. The trainer's own functions generate
(greedily) and take the loss: no temperature, and no share of the tokens themselves.
"""

import os

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

from types import SimpleNamespace  # noqa: E402

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch.nn import functional  # noqa: E402
from transformers import GenerationConfig  # noqa: E402
from trl.experimental.gkd.gkd_trainer import GKDTrainer  # noqa: E402

import inputs  # noqa: E402
import models  # noqa: E402

BETAS = (0.0, 0.5, 1.0)
NEW_TOKENS = 6


def write(out):
    """on_policy.safetensors."""
    base, teacher = (models.read(out / f"{family}/model", torch.float64) for family in ("llama", "qwen3"))
    student = PeftModel.from_pretrained(base, out / "llama/lora", is_trainable=True).double().eval()
    prompts = [inputs.ids(41 + row, 1, length) for row, length in enumerate((5, 3, 5))]

    def answered(author, stop):
        """Each prompt by itself, then all with padding on the right: eager attention has no value for padding on the left."""
        settings = GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=stop, pad_token_id=inputs.PAD)
        given = (dict(prompts=it, prompt_attention_mask=torch.ones_like(it)) for it in prompts)
        rows = [GKDTrainer.generate_on_policy_outputs(author, it, settings) for it in given]
        width = max(ids.shape[1] for ids, _, _ in rows)
        pads = (inputs.PAD, 0, inputs.IGNORED)
        return [torch.cat([functional.pad(row[i], (0, width - row[i].shape[1]), value=pad) for row in rows]) for i, pad in enumerate(pads)]

    # What the first row would say third ends answers.
    stop = int(answered(student, None)[0][0, 5 + 2])
    tensors = dict(stop=torch.tensor([stop]))
    tensors.update({f"prompt{row}": prompt[0] for row, prompt in enumerate(prompts)})
    for name, author in dict(student=student, teacher=teacher).items():
        ids, attention, labels = answered(author, stop)
        tensors.update({f"{name}.ids": ids, f"{name}.attention_mask": attention, f"{name}.labels": labels})
        batch = dict(input_ids=ids, attention_mask=attention, labels=labels)
        for beta in BETAS:
            student.zero_grad()
            trainer = SimpleNamespace(teacher_model=teacher, beta=beta, generalized_jsd_loss=GKDTrainer.generalized_jsd_loss)
            loss = GKDTrainer.compute_loss(trainer, student, batch)
            loss.backward()
            key = f"{name}.beta{beta}"
            tensors[f"{key}.loss"] = loss.detach().reshape(1)
            if (name, beta) == ("student", 1.0):
                grads = {k: p.grad for k, p in student.named_parameters() if p.requires_grad}
                tensors.update({f"{key}.grad.{k.replace('.default', '')}": g.float().clone() for k, g in grads.items()})
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "on_policy.safetensors")
    return {}
