"""Lists and loops, no tensor operation where a loop will do."""

import torch


def rank_neurons(incoming, activations, rule):
    count = len(incoming)
    if rule == "largest-weight":
        measure = [-sum(abs(float(w)) for w in incoming[i]) for i in range(count)]
    elif rule == "dormant":
        measure = [sum(float(a) for a in activations[:, i]) / len(activations) for i in range(count)]
    else:
        raise ValueError("unknown rule: " + str(rule))
    return torch.tensor(sorted(range(count), key=lambda i: measure[i]))


def prune_and_compress(w_in, b_in, w_out, neurons):
    gone = {int(i) for i in neurons}
    left = [i for i in range(len(b_in)) if i not in gone]
    if not left:
        raise ValueError("no neuron left")
    return (
        torch.stack([w_in[i] for i in left]),
        torch.stack([b_in[i] for i in left]),
        torch.stack([w_out[:, i] for i in left], dim=1),
    )
