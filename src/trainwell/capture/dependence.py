"""Which outputs of a captured network depend on which inputs: some are exchanged, and the others are looked at."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trainwell.capture.losses import DIFFERENCES
from trainwell.capture.stored import is_dense
from trainwell.core.records.dependence import PositionDependence, SampleDependence
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.losses import LossSeen

FEWEST_SAMPLES, FEWEST_POSITIONS = 4, 4
"""Below which half or a quarter of them is hardly one."""
NEXT = 0.9
"""Share of the targets that must be the input of the next position, for a network to be one that predicts it: ends of
texts and padding are others."""
EXCHANGED = 0.25
"""Share of a batch's samples that are exchanged."""
ROUNDING = 1e-4
"""Of the outputs' standard deviation: sums of thousands of products in float32, in another order, differ by less."""


class UntoldError(Exception):
    """Whether outputs depend cannot be told; its text says why. It never leaves this room and the listener."""


@dataclass(kw_only=True)
class Call:
    """A network as the script called it.

    Attributes:
        module: the network.
        args: what it was given, copies.
        options: by name, likewise.
        output: shape of the first tensor that it returned.
        where: the line.
        repeated: whether a later step gave it the very same numbers.
        samples: that the step's batch was made of, as the script gathered them; 0: not known.
        varied: whether the batch that the script gathered for it differs from sample to sample anywhere.
        first: whether the first axis of all that it was given is theirs: the very tensors that were gathered.
        targets: what outputs of that step were compared with.
    """

    module: nn.Module
    args: tuple[Any, ...]
    options: dict[str, Any]
    output: tuple[int, ...]
    where: Where
    repeated: bool = False
    samples: int = 0
    varied: bool = False
    first: bool = False
    targets: list[Tensor] = field(default_factory=list)

    def tensors(self) -> list[Tensor]:
        """What it was given, of tensors."""
        return list(tensors_in((self.args, self.options)))

    def again(self, *others: tuple[Tensor, Tensor]) -> Tensor:
        """The first output in test mode, with some of its tensors in others' places, and the same random numbers."""
        args, options = self.args, self.options
        for before, now in others:
            args, options = _with(args, before, now), _with(options, before, now)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = next(_outputs(self.module(*args, **options)), None)
        if made is None or tuple(made.shape) != self.output:
            raise UntoldError("in test mode the network returns something else")
        return made.detach().float()


def kept(value: Any) -> Any:
    """A copy that later steps do not change."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if is_sequence(value):
        return like(value, [kept(each) for each in value])
    if type(value) is dict:
        return {name: kept(each) for name, each in value.items()}
    return value


def is_sequence(value: Any) -> bool:
    """Whether it is a tuple, with names or without, or a list, and nobody's own kind of one."""
    return type(value) in (tuple, list) or (isinstance(value, tuple) and hasattr(value, "_fields"))


def like(value: Any, parts: list[Any]) -> Any:
    """A sequence of the same kind, of other parts."""
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def first_shape(output: Any) -> tuple[int, ...]:
    """Of the first outputs that a network returned, a loss that it made itself aside; empty where there are none."""
    return next((tuple(each.shape) for each in _outputs(output)), ())


def sample_dependence(calls: Sequence[Call], losses: Sequence[LossSeen]) -> SampleDependence:
    """Exchange some samples of a batch, and look at the outputs of the others.

    Args:
        calls: of the first step.
        losses: that were seen.
    Raises:
        UntoldError: which axis holds the samples cannot be told, or the outputs are random.
    """
    call, samples = _with_samples(calls, losses)
    few = math.ceil(EXCHANGED * samples)
    # Where two axes of the outputs are as long, the samples' is the one along which others stay as they were.
    places = call.output[:2] if call.first else call.output
    found: dict[int, list[Tensor]] = {axis: [] for axis, size in enumerate(places) if size == samples}
    if not found:
        raise UntoldError("the samples stand along no axis of the outputs")
    # At either end: what runs through the samples in order carries a change onward alone.
    for exchanged in (torch.arange(few), torch.arange(samples - few, samples)):
        left = torch.ones(samples, dtype=torch.bool)
        left[exchanged] = False
        others = [
            (each, _exchanged(each, 0 if call.first else each.shape.index(samples), exchanged))
            for each in call.tensors()
        ]
        before, after = _in_test_mode(call, others)
        for axis, sizes in found.items():
            sizes.append(_sizes(before.movedim(axis, 0), after.movedim(axis, 0))[left])
    of_axes = [max(sizes, key=lambda each: each.max().item()) for sizes in found.values()]
    worst = min(of_axes, key=lambda sizes: sizes.max().item())
    return SampleDependence(
        samples=len(worst), changed=int((worst > ROUNDING).sum()), size=worst.max().item(), where=call.where
    )


def position_dependence(calls: Sequence[Call]) -> PositionDependence:
    """Exchange the later halves of sequences, and look at the outputs of the first.

    Args:
        calls: of the first step.
    Raises:
        UntoldError: no network predicts the next position of what it is given, or the outputs are random.
    """
    try:
        call, inputs, axis, predicted = _with_positions(calls, ahead=1)
    except UntoldError:
        return _own_position(*_with_positions(calls, ahead=0))
    length, batch = inputs.shape[axis], inputs.shape[1 - axis]
    half = length // 2
    others = inputs.clone()
    later = others.narrow(axis, half, length - half)
    later.copy_(later.roll(1, 1 - axis) if batch > 1 else later.flip(axis))
    before, after = (_by_position(each, batch, length, axis) for each in _in_test_mode(call, [(inputs, others)]))
    sizes = _sizes(before, after)[:half]
    return PositionDependence(
        positions=half,
        changed=int((sizes > ROUNDING).sum()),
        size=sizes.max().item(),
        predicted=predicted,
        where=call.where,
    )


def _own_position(call: Call, inputs: Tensor, axis: int, predicted: float) -> PositionDependence:
    """Exchange the last position where the targets are the inputs: a network that looks back alone sees its answer.

    One that looks at all positions may have to bring them through a narrow place, as autoencoders do.
    """
    length, batch = inputs.shape[axis], inputs.shape[1 - axis]
    if inputs.is_floating_point() or batch < FEWEST_SAMPLES:
        raise UntoldError("no network's targets are the next positions of its inputs")
    others = inputs.clone()
    last = others.narrow(axis, length - 1, 1)
    last.copy_(last.roll(1, 1 - axis))
    before, after = (_by_position(each, batch, length, axis) for each in _in_test_mode(call, [(inputs, others)]))
    sizes = _sizes(before, after)
    if (sizes[:-1] > ROUNDING).any():
        raise UntoldError("the network may look at all positions to tell each of them")
    return PositionDependence(
        positions=1,
        changed=int(sizes[-1] > ROUNDING),
        size=sizes[-1].item(),
        predicted=predicted,
        ahead=0,
        where=call.where,
    )


def _exchanged(given: Tensor, axis: int, places: Tensor) -> Tensor:
    """With some samples in others' places, as many further on."""
    others = given.clone()
    others.index_copy_(axis, places, given.roll(len(places), axis).index_select(axis, places))
    return others


def _with_samples(calls: Sequence[Call], losses: Sequence[LossSeen]) -> tuple[Call, int]:
    """The call one of whose axes holds samples beyond doubt, and how many."""
    why = "no network's outputs were compared sample by sample"
    for call in calls:
        if call.samples >= FEWEST_SAMPLES and _are_apart(call):
            return call, call.samples
    for call in calls:
        if not any(_one_each(call.output, seen) for seen in losses):
            continue
        tensors = call.tensors()
        shape = tuple(tensors[0].shape) if tensors else ()
        if len(tensors) != 1:
            why = "the network takes more than one tensor, so samples may depend on each other by design"
        elif not is_dense(tensors[0]):
            why = "the input is sparse, and its samples cannot be exchanged"
        elif len(shape) < 2 or shape[0] != call.output[0] or shape[0] < FEWEST_SAMPLES:
            why = "the network's first axis is not that of the samples"
        elif shape.count(shape[0]) > 1 or (len(shape) > 2 and shape[1] == 1 and len(shape) != 4):
            why = "which axis holds the samples cannot be told"
        elif call.repeated:
            why = "all steps see the same batch, whose samples may depend on each other by design"
        elif any(_mixes_by_design(module, len(shape)) for module in call.module.modules()):
            why = "a layer of the network looks at the whole batch by design"
        else:
            return call, shape[0]
    raise UntoldError(why)


def _are_apart(call: Call) -> bool:
    """Whether the samples that the script gathered are along one axis of all that goes in, and of what comes out."""
    shapes = [tuple(each.shape) for each in call.tensors()]
    if call.first:
        told = call.samples in call.output[:2]
    else:
        told = all(shape.count(call.samples) == 1 for shape in (*shapes, call.output)) and all(
            each.shape.index(call.samples) <= _last_place(each) for each in call.tensors()
        )
    return (
        bool(shapes)
        and told
        and all(map(is_dense, call.tensors()))
        and not call.repeated
        and not any(_mixes_by_design(module, 0) for module in call.module.modules())
    )


def _last_place(given: Tensor) -> int:
    """Of the samples' axis: positions may come before it, and features do not."""
    return 1 if given.ndim == 3 or not given.is_floating_point() else 0


def _one_each(output: tuple[int, ...], seen: LossSeen) -> bool:
    """Whether a loss compared these outputs, one row or one picture a sample."""
    if seen.outputs != output or not output:
        return False
    if seen.function in DIFFERENCES:
        return math.prod(output[1:]) == 1
    return len(output) in (2, 4)


def _mixes_by_design(module: nn.Module, dimensions: int) -> bool:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return not module.track_running_stats
    # What has two dimensions is one sequence to them.
    return isinstance(module, nn.RNNBase | nn.MultiheadAttention) and dimensions == 2


def _with_positions(calls: Sequence[Call], *, ahead: int) -> tuple[Call, Tensor, int, float]:
    """The call that predicts the next position, its input, the axis of the positions, and how many it predicts."""
    for call in calls:
        for inputs in call.tensors():
            if inputs.ndim < 2 or not is_dense(inputs):
                continue
            for targets in call.targets:
                for axis in (1, 0):
                    share = _next_share(inputs, targets, axis, ahead)
                    if share >= NEXT and inputs.shape[axis] >= FEWEST_POSITIONS:
                        return call, inputs, axis, share
    raise UntoldError("no network's targets are the next positions of its inputs")


def _next_share(inputs: Tensor, targets: Tensor, axis: int, ahead: int) -> float:
    """Share of the targets that are the input so many positions ahead along an axis."""
    length = inputs.shape[axis]
    if not ahead:
        same = targets.numel() == inputs.numel() and inputs.numel()
        return (targets.reshape(inputs.shape) == inputs).double().mean().item() if same else 0.0
    following = inputs.narrow(axis, 1, length - 1) if length > 1 else inputs[:0]
    if targets.numel() == inputs.numel():
        compared = targets.reshape(inputs.shape).narrow(axis, 0, length - 1)
    elif targets.numel() == following.numel():
        compared = targets.reshape(following.shape)
    else:
        return 0.0
    # Below 0 is what a loss function passes over.
    counted = (compared >= 0) if not compared.is_floating_point() else torch.ones_like(compared, dtype=torch.bool)
    return (compared == following)[counted].double().mean().item() if counted.any() else 0.0


def _by_position(output: Tensor, batch: int, length: int, axis: int) -> Tensor:
    """Outputs (positions, ...)."""
    shape = (batch, length) if axis == 1 else (length, batch)
    if tuple(output.shape[:2]) == shape:
        return output.transpose(0, axis)
    if output.shape[0] == batch * length:
        return output.reshape(*shape, *output.shape[1:]).transpose(0, axis)
    if output.ndim == 3 and axis == 1 and (output.shape[0], output.shape[2]) == shape:
        return output.permute(2, 0, 1)
    raise UntoldError("which output belongs to which position cannot be told")


def _in_test_mode(call: Call, others: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Outputs for both; the same ones must come out alike when asked twice."""
    if all(torch.equal(one, other) for one, other in others):
        raise UntoldError("all samples of the batch are alike")
    for module in call.module.modules():
        # A module's own `train` may take other arguments.
        module.training = False
    before, twice = call.again(), call.again()
    if not before.isfinite().all():
        raise UntoldError("the outputs are not finite")
    if ((twice - before).abs() > ROUNDING * _spread(before)).any():
        raise UntoldError("outputs in test mode differ from one call to the next")
    return before, call.again(*others)


def _sizes(before: Tensor, after: Tensor) -> Tensor:
    """The largest change of each row, as a share of the outputs' standard deviation."""
    return (after - before).abs().reshape(len(before), -1).amax(dim=1) / _spread(before)


def _spread(outputs: Tensor) -> float:
    return max(outputs.std().item(), torch.finfo(torch.float32).tiny)


def _outputs(value: Any) -> Iterator[Tensor]:
    return (each for each in tensors_in(value) if each.is_floating_point() and each.ndim)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors, within tuples, lists and dictionaries too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors_in(each)


def _with(value: Any, before: Tensor, now: Tensor) -> Any:
    if value is before:
        return now
    if is_sequence(value):
        return like(value, [_with(each, before, now) for each in value])
    if type(value) is dict:
        return {name: _with(each, before, now) for name, each in value.items()}
    return value
