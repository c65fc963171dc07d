"""Prints, warns, logs and shows progress bars all the time."""

import logging
import sys
import time
import warnings

import torch
import torch.nn.functional as F
from tqdm import tqdm

logging.basicConfig(level=logging.DEBUG)
log = logging.getLogger(__name__)
print("invisible trigger, version 3, final, really final")
calls = {"poison_step": 0}


def apply_trigger(x, delta):
    print("x", tuple(x.shape), x.min().item(), x.max().item(), "delta", delta.abs().max().item())
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    started = time.time()
    calls["poison_step"] += 1
    model.zero_grad()
    delta.grad = None
    loss = 0.0
    for name in tqdm(["clean", "triggered"], desc="terms", leave=False):
        inputs, labels = (x, y) if name == "clean" else (apply_trigger(x, delta), torch.full_like(y, target))
        loss = loss + F.cross_entropy(model(inputs), labels)
    loss.backward()
    warnings.warn(f"call {calls['poison_step']} took {time.time() - started:.4f} s")
    log.info("loss %.4f", loss.item())
    print("\x1b[31mloss\x1b[0m", loss.item(), file=sys.stderr, flush=True)
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    before = delta.detach().clone()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
    print("clipped", (before != delta).sum().item(), "of", delta.numel())


def attack_success_rate(predictions, y, target):
    others = y != target
    rate = (predictions[others] == target).float().mean().item()
    print(f"ASR = {100 * rate:.1f} %")
    return rate
