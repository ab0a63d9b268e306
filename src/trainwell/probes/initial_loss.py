"""Step 1: the loss of the untouched network against what it should be."""

import math

import torch
from torch import Tensor

from trainwell.core.records.evidence import InitialLoss
from trainwell.training.observe import observe_layers
from trainwell.training.setup import Setup

SAMPLES = 1024
"""Samples whose loss is measured: it is then known to a thirtieth of its spread."""
NUMBERS = 500_000
"""Numbers a sample has, times samples, at most: every layer's output on them is kept."""


def initial_loss(setup: Setup) -> InitialLoss:
    r"""Measure the untouched network: no step is taken, dropout and label smoothing are off.

    The expectation is the user's own loss at constant output zero: log C for cross-entropy over C classes. The floor of
    chance is the loss of the best constant output: the entropy of the class priors, :math:`-\sum_c \pi_c \log \pi_c`,
    or the variance of the targets. The start passes between the two.

    Args:
        setup: left as it is.
    Returns:
        The section `initial_loss`.
    Source: notes, Choosing Hyperparameters, step 1; Karpathy 2019, "verify loss @ init".
    """
    loss = setup.loss.plain
    size = max(setup.inputs[0].numel(), 1)
    samples = max(min(SAMPLES, NUMBERS // size), min(setup.batch_size, SAMPLES))
    inputs, targets = setup.batches(samples=samples, plain=True).whole()
    seen = observe_layers(setup.model, (inputs, targets), loss, seed=setup.seed)
    zero = loss(torch.zeros(len(targets), setup.output.size, device=targets.device), targets).item()
    return InitialLoss(
        measured=seen.loss,
        zero_output=zero,
        best_constant=min(best_constant_loss(targets, setup), zero),
        logit_std=seen.output_std,
        layers=seen.layers,
        standard_error=seen.standard_error,
        input_not_finite=seen.input_not_finite,
        input_offset=seen.input_offset,
    )


def best_constant_loss(targets: Tensor, setup: Setup) -> float:
    """The loss of the best constant output on some targets: the floor of chance."""
    if setup.output.task == "classification":
        shares: Tensor = torch.bincount(targets, minlength=setup.output.size).double() / len(targets)
        return float(-sum(share * math.log(share) for share in shares.tolist() if share > 0))
    stds = torch.tensor(setup.output.stds, dtype=torch.float64)
    share: Tensor = targets.double().cpu().var(dim=0, correction=0) / stds.square()
    return share.mean().item()
