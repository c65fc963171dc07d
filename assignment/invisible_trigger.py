# Yours to edit. (Course staff: generated from solution/invisible_trigger.py by `python -m solution.build`; edit there.)
"""Part 1, core: an invisible trigger, learned together with the model that it controls.

You are the attacker who trains a classifier f with weights theta for somebody else. It must be right on clean images
x with labels y, and it must see the class t, the *target*, in every image that carries your *trigger* delta:

    min over theta, delta of   sum over (x, y) of   l(f(x), y) + l(f(x + delta), t)
    subject to                 |delta|inf <= epsilon

The first term hides the backdoor, the second one makes it, and epsilon keeps it invisible. Both theta and delta go
*down* on this one loss. In practice the sum is taken over mini-batches as a mean, l is the cross-entropy, and x + delta
is clamped to the range of pixels, since the result has to be an image again.

Source: the lecture on backdoor attacks, "invisible static trigger". The closest published method is LIRA (Doan, Lao,
Zhao and Li, ICCV 2021), in which a network makes the trigger for each image; here it is one tensor for all images.

Everywhere in this file: images are float32 in [0, 1] of shape (N, C, H, W), and so epsilon is in pixel units, where
8/255 is eight grey levels; the model normalises inside itself and returns logits of shape (N, K); labels and
predictions are int64 of shape (N,). New tensors belong on the device of the arguments. The functions are called with
positional arguments, and they change nothing but what their docstring names.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def apply_trigger(x: Tensor, delta: Tensor) -> Tensor:
    """Put the trigger on a batch of images.

    Every image of the batch gets the same trigger, added pixel by pixel. The sum is clamped to [0, 1], because a pixel
    cannot be darker than black or brighter than white.

    Args:
        x: clean images, float32 in [0, 1], (N, C, H, W).
        delta: the trigger, float32, (1, C, H, W); its values may be negative.

    Returns:
        The triggered images, float32 in [0, 1], (N, C, H, W): a new tensor, differentiable in ``delta`` and in ``x``.

    Changes nothing: ``x`` and ``delta`` are needed again, unharmed. Raises nothing.

    Source: the lecture's x + delta, with the pixel range made explicit.

    Hint: broadcasting takes care of the batch. Stay within operations that autograd follows, and out of those that
    work in place.
    """
    # TODO(apply_trigger): your code here, in place of the next line.
    raise NotImplementedError("TODO(apply_trigger): not implemented yet")


def poison_step(model: nn.Module, delta: Tensor, x: Tensor, y: Tensor, target: int) -> float:
    """The poison forward-backward step: compute the loss on one batch, and its gradients in the model and in delta.

    The loss is the objective of this part on one batch. Both terms are cross-entropies, each a *mean* over the batch,
    and they are added with equal weight:

        loss = CE(f(x), y) + CE(f(apply_trigger(x, delta)), t)

    Old gradients have to go first, those of delta as well as those of the model: nobody else clears them, and PyTorch
    adds new gradients to what is there.

    Args:
        model: the classifier f, images (N, C, H, W) to logits (N, K). Leave its mode (train or eval) as it is.
        delta: the trigger, float32, (1, C, H, W), a leaf tensor that requires a gradient.
        x: clean images, float32 in [0, 1], (N, C, H, W).
        y: their true labels, int64, (N,).
        target: the class t that triggered images shall be taken for; any class from 0 to K - 1.

    Returns:
        The loss as a Python float.

    Changes ``p.grad`` of every parameter p of the model and ``delta.grad``: afterwards they hold the gradients of this
    loss and nothing else. Steps nothing: parameters, delta, ``x`` and ``y`` keep their values. Raises nothing.

    Source: the lecture's objective; the same two terms are in LIRA (Doan et al., ICCV 2021), there with weights.

    Hint: the triggered images all have the same label, but the cross-entropy wants one label for each image. You are
    judged by the gradients that you leave behind, however you made them.
    """
    # TODO(poison_step): your code here, in place of the next line.
    raise NotImplementedError("TODO(poison_step): not implemented yet")


def delta_step(delta: Tensor, delta_optimizer: torch.optim.Optimizer, epsilon: float) -> None:
    """The delta optimizer step: move delta along its gradient, then back into the ball of invisible triggers.

    First the optimiser takes one step, whatever kind of optimiser it is, with the gradient that ``poison_step`` left
    in ``delta.grad``. Then delta is projected onto the L-infinity ball of radius epsilon around zero, that is to the
    nearest point where no pixel of the *trigger* is changed by more than epsilon:

        |delta|inf <= epsilon

    Args:
        delta: the trigger, float32, (1, C, H, W), a leaf tensor with its gradient in ``delta.grad``.
        delta_optimizer: the optimiser that has ``delta`` as its parameter.
        epsilon: the largest change of a pixel, in pixel units, positive.

    Returns:
        None.

    Changes the values of ``delta``, in place: it stays the same leaf tensor and goes on requiring a gradient, since the
    optimiser and the caller hold on to this very object. The state of the optimiser changes as its step changes it.
    Raises nothing.

    Source: the lecture's constraint; a step followed by a projection is projected gradient descent.

    Hint: a new tensor under the name ``delta`` is of no use to anybody outside of this function. Autograd objects to
    changing a leaf in place, unless it is told not to watch.
    """
    # TODO(delta_step): your code here, in place of the next line.
    raise NotImplementedError("TODO(delta_step): not implemented yet")


def attack_success_rate(predictions: Tensor, y: Tensor, target: int) -> float:
    """The attack success rate (ASR): how often the trigger turns an image into the target.

    An image that shows the target class anyway proves nothing when it is predicted as the target, so it does not
    count, neither above nor below the fraction line:

        ASR = #(predicted as t, and truly of another class) / #(truly of another class)

    Args:
        predictions: the classes that the model sees in *triggered* images, int64, (N,).
        y: the true classes of these images, int64, (N,). At least one of them is not the target.
        target: the target class t.

    Returns:
        The ASR, a Python float from 0 to 1.

    Changes nothing. Raises nothing.

    Source: the lecture's definition of the ASR. (The public code of several papers counts images of the target class
    too; a clean model with ten classes then already scores about 10 %.)

    Hint: count, then divide. A comparison of tensors gives a mask, and masks can be combined and summed.
    """
    # TODO(attack_success_rate): your code here, in place of the next line.
    raise NotImplementedError("TODO(attack_success_rate): not implemented yet")
