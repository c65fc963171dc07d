"""delta_step rounds delta to whole grey levels after the step: small steps are lost."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# may_fall = ["delta_step.projects_onto_ball"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
        delta.mul_(255).round_().div_(255)
