# Yours to edit. (Course staff: generated from solution/clean_label.py by `python -m solution.build`; edit there.)
"""Part 2, bonus: clean-label poisoning. You never touch a label, and still one image is misread.

You are the attacker who can slip a few images into somebody else's training set. A person labels them, correctly, so
the labels are no help to you. The victim takes a known network as a *feature extractor* f, keeps it frozen, and trains
only a new last layer on its features. You want one image, the *target* t, to be taken for another class, the *base*
class. So you take an image b of the base class, the *base*, and change it so little that it still gets its label, but
so that the network sees almost what it sees in the target. This is a *poison* p:

    p = argmin over x of   |f(x) - f(t)|^2  +  (beta / 2) |x - b|^2

The first term lets the poison collide with the target in feature space; the second one keeps it looking like the base.
The last layer that has learned "what looks like this inside is of the base class" then says so of the target, too.

The problem is solved by forward-backward splitting: a gradient step on the first term alone, the *forward* step, then
a proximal step on the second one, the *backward* step, which has a closed form. What the paper calls beta is the one
above: its backward step is the proximal step of the *half* of the squared distance to the base.

Source: Poison Frogs! Targeted Clean-Label Poisoning Attacks on Neural Networks (Shafahi, Huang, Najibi, Suciu, Studer,
Dumitras and Goldstein, NeurIPS 2018), section 2.2 and algorithm 1.

Everywhere in this file: images are float32 in [0, 1] of shape (N, C, H, W), in pixel units, so 8/255 is eight grey
levels; ``features`` is the frozen extractor f, a function from images (N, C, H, W) to features (N, D), float32, which
normalises inside itself; image i of a batch has nothing to do with the others: it has its own target, its own base
and its own step size. New tensors belong on the device of the arguments. The functions are called with positional
arguments, and they change nothing.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def forward_step(
    features: Callable[[Tensor], Tensor], poison: Tensor, target_features: Tensor, step_size: Tensor
) -> Tensor:
    """The forward step: move each poison down the gradient of its squared feature distance to its target.

    With x the poison and t its target, and every image by itself:

        forward = x - step_size * (gradient in x of |f(x) - f(t)|^2)

    The distance is the *squared* Euclidean one: squares summed over the D features, not averaged. Nothing is clipped
    here: what leaves the range of pixels is the backward step's business.

    Args:
        features: the extractor f, images (N, C, H, W) to features (N, D), differentiable.
        poison: the poisons as they stand, float32 in [0, 1], (N, C, H, W).
        target_features: f(t) for each image's own target, float32, (N, D).
        step_size: each image's own step size, float32, positive, (N, 1, 1, 1).

    Returns:
        The moved images, float32, (N, C, H, W), possibly outside of [0, 1]: a new tensor without any graph behind it
        (``requires_grad`` is False), because the next step starts from it.

    Changes nothing: not the values of its arguments, not whether they require a gradient. Raises nothing.

    Source: Poison Frogs, section 2.2, the forward step of algorithm 1.

    Hint: PyTorch gives the gradient of one number only. The images are independent of each other, so the sum of all
    distances has for each image the gradient of its own distance. Ask for the gradient in a copy of the poison.
    """
    # TODO(forward_step): your code here, in place of the next line.
    raise NotImplementedError("TODO(forward_step): not implemented yet")


def backward_step(forward: Tensor, base: Tensor, step_size: Tensor, beta: float) -> Tensor:
    """The backward step: pull each image back towards its base, then into the range of pixels.

    The proximal step of (beta / 2) |x - b|^2 asks for the x that minimises, for a step size s,

        (beta / 2) |x - b|^2  +  |x - forward|^2 / (2 s)

    Both are squares, so the answer has a closed form, the weighted mean of the two images:

        x = (forward + s * beta * b) / (1 + s * beta)

    and then every pixel is clipped to [0, 1].

    Args:
        forward: what the forward step returned, float32, (N, C, H, W), possibly outside of [0, 1].
        base: each image's base b, float32 in [0, 1], (N, C, H, W).
        step_size: each image's own step size s, float32, positive, (N, 1, 1, 1).
        beta: the weight of the distance to the base, not negative. With 0 nothing pulls, and only the clip is left.

    Returns:
        The new poisons, float32 in [0, 1], (N, C, H, W): a new tensor.

    Changes nothing. Raises nothing.

    Source: Poison Frogs, section 2.2, the backward step of algorithm 1; the clip is added here, since a poison has
    to be an image. (It changes nothing else: each pixel by itself, the clipped value is the minimum within [0, 1].)

    Hint: set the derivative of the two squares to zero and solve for x; then compare with the formula.
    """
    # TODO(backward_step): your code here, in place of the next line.
    raise NotImplementedError("TODO(backward_step): not implemented yet")


def choose_bases(candidate_features: Tensor, target_features: Tensor, count: int) -> Tensor:
    """Choose for each target the images that are made into its poisons: the nearest in feature space.

    The less an image has to move, the less one sees of it. So for each target take the ``count`` candidates whose
    features have the smallest Euclidean distance to the target's.

    Args:
        candidate_features: f of the images of the base class that may be used, float32, (M, D).
        target_features: f(t) of the targets, float32, (T, D).
        count: how many bases a target gets, from 1 to M.

    Returns:
        Positions among the candidates, int64, (T, count): row i belongs to target i, the nearest first. A row names no
        candidate twice; two candidates at equal distance may come in either order. Targets are independent: the same
        candidate may stand in several rows.

    Changes nothing. Raises nothing.

    Source: Poison Frogs takes a base at random (section 2.2) and retries; the nearest ones need no second try.

    Hint: first a table of distances, (T, M); then the positions of the smallest entries of each row.
    """
    # TODO(choose_bases): your code here, in place of the next line.
    raise NotImplementedError("TODO(choose_bases): not implemented yet")


def craft_poisons(
    features: Callable[[Tensor], Tensor],
    bases: Tensor,
    target_features: Tensor,
    step_size: float,
    beta: float,
    iterations: int,
    epsilon: float | None,
) -> Tensor:
    """Make poisons of the bases: the loop around the two steps, for a whole batch at once.

    Every image starts as its base, with the step size that is given. Then, so many times as ``iterations`` says:

    1. A candidate for each image: a forward step, a backward step with the same step size, and, where ``epsilon`` is
       given, each pixel clipped to within epsilon of its *base*: |x - b|inf <= epsilon.
    2. The objective |f(x) - f(t)|^2 + (beta / 2) |x - b|^2 of each candidate.
    3. Where the objective of an image went down, its candidate is accepted: it is the new poison, and its step size
       stays. Where it did not, the step is rejected: this image stays exactly what it was, and its step size is halved.

    A step that is too long makes things worse; this rule finds a step size that fits, for each image by itself. Steps
    are never made longer again.

    Args:
        features: the extractor f, images (N, C, H, W) to features (N, D), differentiable.
        bases: the base b of each poison, float32 in [0, 1], (N, C, H, W).
        target_features: f(t) for each image's own target, float32, (N, D). Where several poisons are for the same
            target, its row is repeated.
        step_size: every image's first step size, positive.
        beta: the weight of the distance to the base, not negative.
        iterations: how many steps each image tries, accepted or not; with 0 the poisons are the bases.
        epsilon: the largest change of a pixel, in pixel units, or None for no such limit.

    Returns:
        The poisons, float32 in [0, 1], (N, C, H, W): a new tensor without any graph behind it. Image i is the same
        whether it comes alone or in a batch, and its objective is never above that of its base.

    Changes nothing: the bases are needed again, unharmed. Raises nothing.

    Source: Poison Frogs, algorithm 1. The paper's code rejects and halves as well, but compares with the mean of the
    last 40 objectives; some public code tests the objective only after the step was accepted, so that a single step
    too far freezes a poison where it is worst.

    Hint: three things are kept for each image from one round to the next: the poison, its objective, its step size.
    ``torch.where`` chooses between old and new image by image; mind the shapes (N,) and (N, 1, 1, 1).
    """
    # TODO(craft_poisons): your code here, in place of the next line.
    raise NotImplementedError("TODO(craft_poisons): not implemented yet")
