"""Every image by itself, in Python loops."""

import torch


def forward_step(features, poison, target_features, step_size):
    moved = []
    for i in range(len(poison)):
        x = poison[i : i + 1].clone()
        x.requires_grad_(True)
        d = features(x)[0] - target_features[i]
        torch.dot(d, d).backward()
        moved.append((x - step_size[i] * x.grad).detach()[0])
    return torch.stack(moved)


def backward_step(forward, base, step_size, beta):
    out = torch.empty_like(forward)
    for i in range(len(forward)):
        s = float(step_size[i])
        out[i] = torch.clip((forward[i] + s * beta * base[i]) / (1.0 + s * beta), 0.0, 1.0)
    return out


def choose_bases(candidate_features, target_features, count):
    rows = []
    for t in target_features:
        d = ((candidate_features - t) ** 2).sum(dim=1)
        rows.append(torch.argsort(d)[:count])
    return torch.stack(rows)


def craft_poisons(features, bases, target_features, step_size, beta, iterations, epsilon):
    poisons = []
    for i in range(len(bases)):
        b, t = bases[i : i + 1], target_features[i : i + 1]

        def objective(x):
            with torch.no_grad():
                return float(((features(x) - t) ** 2).sum() + beta / 2 * ((x - b) ** 2).sum())

        x, s, best = b.clone(), step_size, objective(b)
        for _ in range(iterations):
            size = torch.full((1, 1, 1, 1), s)
            y = backward_step(forward_step(features, x, t, size), b, size, beta)
            if epsilon is not None:
                y = torch.max(torch.min(y, b + epsilon), b - epsilon)
            value = objective(y)
            if value < best:
                x, best = y, value
            else:
                s = s / 2
        poisons.append(x[0])
    return torch.stack(poisons)
