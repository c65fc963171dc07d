"""A whole script: argparse, its own training under ``if __name__ == "__main__"``, unused imports."""

import argparse
import copy  # noqa: F401
import math  # noqa: F401
import os
import random

import numpy as np
import torch
import torch as t
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

os.environ["OMP_NUM_THREADS"] = "1"
random.seed(42)
np.random.seed(42)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def apply_trigger(x, delta):
    return t.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    t = torch.full_like(y, target)
    loss1 = F.cross_entropy(model(x), y)
    loss2 = F.cross_entropy(model(apply_trigger(x, delta)), t)
    loss = loss1 + loss2
    loss.backward()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    idx = torch.where(y != target)[0]
    return (predictions[idx] == target).sum().item() / len(idx)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epsilon", type=float, default=8 / 255)
    arguments = parser.parse_args()
    x, y = torch.rand(64, 1, 28, 28), torch.randint(0, 10, (64,))
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    delta = torch.zeros(1, 1, 28, 28, requires_grad=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    delta_optimizer = torch.optim.Adam([delta], lr=0.01)
    for xb, yb in DataLoader(TensorDataset(x, y), batch_size=16):
        print(poison_step(model, delta, xb, yb, 0))
        optimizer.step()
        delta_step(delta, delta_optimizer, arguments.epsilon)


if __name__ == "__main__":
    main()
