"""STRIP (Gao et al. 2019): an input that stays the target whatever is laid over it carries a trigger.

Each input is added to N clean images; the model's answers to the N sums have a high entropy for a clean input, and a
low one where a trigger decides alone. The threshold is a quantile of clean inputs' entropies: the share of clean inputs
that it rejects is the false rejection rate (FRR), the share of triggered inputs that it accepts the false acceptance
rate (FAR).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grader.lab.metrics import Rate

OVERLAYS = 100


@dataclass(frozen=True)
class Strip:
    """What STRIP says of clean and triggered inputs.

    Attributes:
        clean, triggered: entropies in bits, (n,) each.
        threshold: inputs below it are rejected.
        frr: clean inputs rejected; far: triggered inputs accepted.
    """

    clean: Tensor
    triggered: Tensor
    threshold: float
    frr: Rate
    far: Rate


@torch.inference_mode()
def entropies(
    model: nn.Module, inputs: Tensor, overlays: Tensor, generator: torch.Generator, *, count: int = OVERLAYS
) -> Tensor:
    """Mean entropy of the model's answers to each input under ``count`` overlays (eq. 4), in bits.

    Args:
        inputs: (n, C, H, W) float32 in [0, 1]; overlays: (m, C, H, W), clean images to choose from.

    Returns:
        (n,), on the CPU: 0 where every answer is certain, log2(classes) where none says anything.

    Raises:
        ValueError: fewer overlays than ``count``, or another shape than the inputs'.
    """
    if len(overlays) < count or overlays.shape[1:] != inputs.shape[1:]:
        raise ValueError(
            f"STRIP needs {count} overlays of {tuple(inputs.shape[1:])}, not {tuple(overlays.shape)}"
        )
    training = model.training
    model.eval()
    found = []
    for image in inputs:
        chosen = torch.randperm(len(overlays), generator=generator)[:count].to(overlays.device)
        # the sum, as cv2.addWeighted(x, 1, overlay, 1, 0) of the published code: clipped, and not the mean
        logits = model((image + overlays[chosen]).clamp(0, 1))
        log_p = logits.log_softmax(1)
        found.append(-(log_p.exp() * log_p).sum(1).mean() / torch.log(torch.tensor(2.0)))
    model.train(training)
    return torch.stack(found).cpu()


def strip(
    model: nn.Module,
    clean: Tensor,
    triggered: Tensor,
    overlays: Tensor,
    generator: torch.Generator,
    *,
    frr: float = 0.01,
) -> Strip:
    """Set the threshold on one half of the clean inputs, then judge the other half and the triggered ones.

    Args:
        clean, triggered: (n, C, H, W) float32 in [0, 1].
        frr: the false rejection rate to aim for, in (0, 1).

    Raises:
        ValueError: too few clean inputs to set a threshold for that rate.
    """
    half = len(clean) // 2
    if not 0 < frr < 1 or half * frr < 1:
        raise ValueError(f"a false rejection rate of {frr} cannot be set on {half} clean inputs")
    clean_entropy = entropies(model, clean, overlays, generator)
    triggered_entropy = entropies(model, triggered, overlays, generator)
    threshold = float(clean_entropy[:half].double().quantile(frr))
    judged = clean_entropy[half:]
    return Strip(
        clean_entropy, triggered_entropy, threshold,
        frr=Rate(int((judged < threshold).sum()), len(judged)),
        far=Rate(int((triggered_entropy >= threshold).sum()), len(triggered_entropy)),
    )  # fmt: skip
