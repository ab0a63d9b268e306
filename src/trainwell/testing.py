"""In a test suite: a network that stops training fails the test that trains it."""

from typing import Any

from torch import nn

from trainwell.capture.given import Setup
from trainwell.report.check_report import CheckReport
from trainwell.verbs import check


def assert_trains(target: Setup | nn.Module, data: Any = None, **options: Any) -> CheckReport:
    """Fail where `trainwell.check` finds an error or a warning.

    Args:
        target: a Setup, or a network with its `data`.
        data: what the network is trained on.
        options: of `trainwell.check`.
    Returns:
        The report, where nothing has to be mended.
    Raises:
        AssertionError: with the headline: code, place, what was seen, what to do.
    Example:
        >>> import torch
        >>> inputs = torch.randn(256, 3, generator=torch.Generator().manual_seed(0))
        >>> assert_trains(nn.Linear(3, 1), (inputs, inputs.sum(dim=1, keepdim=True)))
        <check of the Setup: nothing wrong in 300 optimizer steps>
    """
    report = check(target, data, **options)
    headline = report.headline
    if headline is None:
        return report
    where = headline.where
    line = f"{where.file}:{where.line}" if where.file else ""
    place = ", ".join(each for each in (line, f"layer {where.layer}" if where.layer else "") if each)
    said = " ".join([headline.message, headline.cause, *(remedy.text for remedy in headline.remedies)])
    raise AssertionError(f"{headline.code} {headline.name}{f' at {place}' if place else ''}: {said}")
