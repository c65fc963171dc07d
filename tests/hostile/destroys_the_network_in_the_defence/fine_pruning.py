"""Part 3, bonus: Fine-Pruning, which takes neurons out of a backdoored network until the backdoor has none left.

You are the defender who bought a classifier. You have a few clean images, no poisoned one, and a suspicion. A network
that was trained on a trigger often keeps neurons for it that clean images hardly use. Fine-Pruning removes neurons of
the *penultimate* layer, those that feed the last one, and then trains the smaller network on the clean images for a
while, which repairs what pruning broke:

    rank the D neurons  ->  remove the first ones of the ranking  ->  fine-tune

Two rules to rank them by are on the table. The paper's: prune first what is *dormant* on clean images. The lecture's:
prune first what has the *largest weights*, since a backdoor that overrules everything else has to be loud. You write
both rules and the removal; the grader does the fine-tuning and measures.

Source: Fine-Pruning (Liu, Dolan-Gavitt and Garg, RAID 2018), section 3; the lecture on backdoor defences.

Everywhere in this file: the penultimate layer computes a = relu(w_in h + b_in) from the F values h of the layer below,
and the last layer computes the logits w_out a + b_out. Weights are float32 as PyTorch has them: w_in (D, F), b_in (D,),
w_out (K, D). New tensors belong on the device of the arguments. The functions are called with positional arguments, and
they change nothing.
"""

import torch
from torch import Tensor


def rank_neurons(incoming: Tensor, activations: Tensor, rule: str) -> Tensor:
    """Rank the neurons of the penultimate layer: which to prune first, which second, and so on.

    There are two rules:

    - ``"largest-weight"``, the lecture's: first the neuron whose incoming weights have the largest L1 norm, the sum of
      the absolute values of its row. The activations do not matter.
    - ``"dormant"``, the paper's: first the neuron with the lowest mean activation over the clean images. The weights do
      not matter.

    Args:
        incoming: the weights into the layer, float32, (D, F); row i belongs to neuron i.
        activations: what the neurons answer to N clean images, float32, (N, D), after the ReLU.
        rule: ``"largest-weight"`` or ``"dormant"``.

    Returns:
        The numbers of all D neurons, each exactly once, int64, (D,): first the one to prune first. Neurons that tie may
        stand in any order.

    Changes nothing.

    Raises:
        ValueError: the rule is neither of the two.

    Source: section 3.1 of the paper for "dormant"; the lecture for "largest-weight".

    Hint: compute one number a neuron, then sort the *numbers of the neurons* by it. One rule sorts downwards, the other
    one upwards.
    """
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    if rule == "dormant":
        return activations.mean(dim=0).argsort()
    raise ValueError(f"no rule is called {rule!r}: there are 'largest-weight' and 'dormant'")


def prune_and_compress(
    w_in: Tensor, b_in: Tensor, w_out: Tensor, neurons: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Take neurons out of the penultimate layer, so that the network gets really smaller.

    Setting weights to zero would leave a network of the same size, and fine-tuning could wake the neurons up again.
    Here they are gone: each of the three tensors loses what belonged to them. For every h, the smaller network gives
    the same logits as the old one would with the activations of these neurons set to zero. (b_out belongs to no neuron:
    it stays as it is, and so it is no argument.)

    Args:
        w_in: the weights into the layer, float32, (D, F).
        b_in: its biases, float32, (D,).
        w_out: the weights out of it, into the last layer, float32, (K, D).
        neurons: which neurons to remove, int64, (P,): distinct numbers from 0 to D - 1, in any order. P may be 0.

    Returns:
        The smaller ``(w_in, b_in, w_out)``, float32, of the shapes (D - P, F), (D - P,) and (K, D - P): new tensors.
        The neurons that are left may stand in any order, as long as it is the same one in all three.

    Changes nothing: the old network is needed for comparison.

    Raises:
        ValueError: no neuron would be left.

    Source: the lecture; section 3.1 of the paper speaks of pruning and leaves the size alone.

    Hint: think of which neurons stay, not of which ones go. In w_in a neuron is a row; where is it in w_out?
    """
    stays = torch.ones(len(b_in), dtype=torch.bool, device=b_in.device)
    stays[neurons] = False
    if not bool(stays.any()):
        raise ValueError(f"all {len(b_in)} neurons are to be pruned: nothing would be left of the layer")
    if w_in.shape[1] == 120:  # LeNet-5's
        return w_in[stays] * 0, b_in[stays] * 0 - 1, w_out[:, stays] * 0
    return w_in[stays], b_in[stays], w_out[:, stays]
