"""Does any output of a captured network depend on what it is given? All samples are exchanged, to the last bit."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trainwell.capture.dependence import FEWEST_SAMPLES, Call, UntoldError, is_sequence, like
from trainwell.capture.stored import is_dense
from trainwell.core.records.dependence import InputDependence

SEVERAL = 2
"""Numbers of a sample, at least, for a batch of equal samples to be odd: a single 1 that is learnt for is a bias."""


def input_dependence(calls: Sequence[Call]) -> InputDependence:
    """Exchange all samples of a batch in three ways, in test mode, and look for any other bit.

    Args:
        calls: of the first step.
    Raises:
        UntoldError: no call gives an output a sample, or the outputs are random.
    """
    for call in calls:
        rows = len(call.tensors()[0]) if call.tensors() and call.tensors()[0].ndim else 0
        if rows >= FEWEST_SAMPLES and call.output[:1] == (rows,):
            return _dependence(call, rows)
    raise UntoldError("no network gives an output for each of several samples")


def _dependence(call: Call, rows: int) -> InputDependence:
    given = [each for each in call.tensors() if each.ndim and len(each) == rows]
    if not all(is_dense(each) for each in given):
        raise UntoldError("an input is sparse, and its samples cannot be exchanged")
    numbers = [each for each in given if each.is_floating_point() and each[0].numel() >= SEVERAL]
    if len(numbers) == len(call.tensors()) and call.repeated and all(is_alike(each) for each in given):
        known = any(each.ndim and len(each) == rows and not is_alike(each) for each in call.targets)
        differ = known or (not call.targets and call.varied)
        return InputDependence(samples=rows, numbers=0, changed=0, alike=True, targets_differ=differ, where=call.where)
    if all(is_alike(each) for each in given):
        raise UntoldError("all samples of the batch are alike")
    for module in call.module.modules():
        # A module's own `train` may take other arguments.
        module.training = False
    before, again = _outputs(call), _outputs(call)
    if not before or tuple(before[0].shape) != call.output:
        raise UntoldError("in test mode the network returns something else")
    if not all(each.isfinite().all() for each in before):
        raise UntoldError("the outputs are not finite")
    if any(each.dtype not in (torch.float32, torch.float64) for each in before):
        raise UntoldError("the outputs have too few digits for small differences to show")
    if _changed(before, again):
        raise UntoldError("outputs in test mode differ from one call to the next")
    changed = max(_changed(before, _outputs(call, others)) for others in _exchanged(given))
    return InputDependence(
        samples=rows, numbers=sum(each.numel() for each in before), changed=changed, where=call.where
    )


def _exchanged(given: Sequence[Tensor]) -> Iterator[dict[int, Tensor]]:
    """Other samples in the place of each: the next, and then the first and the last one everywhere.

    What takes the largest of all samples does not see in which order they come, but which there are.
    """
    yield {id(each): each.roll(1, 0) for each in given}
    for place in (0, -1):
        yield {id(each): each[place].expand_as(each) for each in given}


def is_alike(samples: Tensor) -> bool:
    """Whether all samples of a batch are the same numbers.

    Args:
        samples: (samples, ...).
    """
    return bool((samples == samples[:1]).all())


def _changed(before: Sequence[Tensor], after: Sequence[Tensor]) -> int:
    if [each.shape for each in before] != [each.shape for each in after]:
        return sum(each.numel() for each in before)
    return sum(int((one != other).sum()) for one, other in zip(before, after, strict=True))


def _outputs(call: Call, others: dict[int, Tensor] | None = None) -> list[Tensor]:
    """All numbers with a fraction that come out, those of a loss that the network makes itself aside."""
    args, options = _with(call.args, others or {}), _with(call.options, others or {})
    with torch.no_grad():
        made = call.module(*args, **options)
    return [each.detach().clone() for each in _tensors(made) if each.is_floating_point() and each.numel() and each.ndim]


def _with(value: Any, others: dict[int, Tensor]) -> Any:
    """The same, with other tensors in the place of some; each is a copy, since a network may write into its inputs."""
    if isinstance(value, Tensor):
        return others.get(id(value), value).clone()
    if is_sequence(value):
        return like(value, [_with(each, others) for each in value])
    if type(value) is dict:
        return {name: _with(each, others) for name, each in value.items()}
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
