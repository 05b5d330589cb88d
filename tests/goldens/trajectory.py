"""Ten AdamW steps: warm-up 2, cosine, clipping at 1; the same for adapters and for full fine-tuning."""

import torch
from transformers import get_cosine_schedule_with_warmup

import inputs


def run(model, learning_rate, weight_decay):
    """`train.loss` before each update, `train.grad_norm` before clipping, `train.lr` of the step; [10] f64 each."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay)
    schedule = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=2, num_training_steps=10)
    losses, norms, rates = [], [], []
    for batch in inputs.train_batches():
        loss = model(**batch, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(weights, 1.0)))
        losses.append(float(loss.detach()))
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    values = dict(loss=losses, grad_norm=norms, lr=rates)
    return {f"train.{name}": torch.tensor(value, dtype=torch.float64) for name, value in values.items()}
