"""One thing of somebody's training changed from outside, at the hooks: the script itself runs as it is."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from trainwell.activations import ACTIVATIONS
from trainwell.anatomy import trace
from trainwell.capture.computed_otherwise import Alike, Between, Gently, InUnits, Narrowed
from trainwell.capture.rectifying import SQUASHING, rectified
from trainwell.core.records.forks import Changed, Fork
from trainwell.initialization import initialize

CHANNELS = (1, 3, 4)
"""Of pictures, where they stand before rows and columns."""
LOWEST_RATE = 1e-6
"""Of a sweep: a tenth of the lowest that fine-tuning uses."""
SEED = 0
"""Of weights that are drawn anew."""


_DROPOUT = {
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
        ("input", "p", "training", "inplace"),
    ),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask", "dropout_p", "is_causal"),
}
"""Functions that leave numbers out at random -> their arguments by place."""
EMBEDDED = 0.02
"""Deviation of the embeddings of GPT-2 and BERT."""
PER_GROUP = 16
"""Channels that are normalized together where a norm is one over the sample: one of the fixed numbers of Wu & He 2018,
Group Normalization, table 3."""


def changed(fork: Fork) -> AbstractContextManager[None]:
    """While this is entered, every training goes on with the change.

    Args:
        fork: what is changed; its values are not read.
    """
    return INTERVENTIONS[fork.changed](fork)


def by_feature(numbers: Tensor) -> Tensor:
    """Inputs (samples, ...) as (features, values): channels of pictures, the last axis of all else."""
    return numbers.transpose(0, feature_axis(numbers)).flatten(1)


def feature_axis(numbers: Tensor) -> int:
    """Axis of the channels of pictures, the last of all else."""
    return 1 if numbers.ndim == 4 and numbers.shape[1] in CHANNELS else numbers.ndim - 1


@contextmanager
def _rate(fork: Fork) -> Iterator[None]:
    """Each step is taken at so many times its rate; what the script reads between steps is its own."""
    with _at_steps(lambda group: {"lr": group["lr"] * fork.factor}):
        yield


@contextmanager
def _sweep(fork: Fork) -> Iterator[None]:
    """The rates rise from step to step by a factor, from the lowest on, whatever the script sets; all groups alike."""
    taken: dict[int, int] = {}
    current: list[float] = [LOWEST_RATE]

    def count(optimizer: Optimizer, _args: Any, _options: Any) -> None:
        step = taken[id(optimizer)] = taken.get(id(optimizer), -1) + 1
        current[0] = LOWEST_RATE * fork.factor**step

    handle = register_optimizer_step_pre_hook(count)
    try:
        with _at_steps(lambda _: {"lr": current[0]}):
            yield
    finally:
        handle.remove()


@contextmanager
def _without_decay(_fork: Fork) -> Iterator[None]:
    """Weights and inputs of layers are no longer made smaller or left out: no weight decay, no dropout."""
    own = {name: getattr(nn.functional, name) for name in _DROPOUT}

    def without(name: str) -> Callable[..., Any]:
        places = _DROPOUT[name]

        def plain(*options: Any, **named: Any) -> Any:
            given = dict(zip(places, options, strict=False)) | named
            given["p" if "p" in places else "dropout_p"] = 0.0
            return own[name](**given)

        return plain

    def before(module: nn.Module, _inputs: Any) -> None:
        if isinstance(module, nn.modules.dropout._DropoutNd | nn.RNNBase):
            for name in ("p", "dropout"):
                if hasattr(module, name):
                    setattr(module, name, 0.0)

    handle = nn.modules.module.register_module_forward_pre_hook(before)
    for name in own:
        setattr(nn.functional, name, without(name))
    try:
        with _at_steps(lambda group: {"weight_decay": 0.0} if "weight_decay" in group else {}):
            yield
    finally:
        for name, function in own.items():
            setattr(nn.functional, name, function)
        handle.remove()


@contextmanager
def _standardized(_fork: Fork) -> Iterator[None]:
    """The first network with weights sees each feature with mean 0 and deviation 1, by its first batch.

    Of several tensors these are the first's, and those of all where all are columns of one table.
    """
    state: dict[int, tuple[Tensor, Tensor]] = {}

    def standardized(place: int, given: Tensor) -> Tensor:
        if place not in state:
            state[place] = feature_statistics(given)
        mean, scale = state[place]
        return (given - mean.to(given)) / scale.to(given)

    def change(_module: nn.Module, inputs: Any) -> Any:
        if not inputs or not _is_numbers(inputs[0]):
            return None
        table = all(_is_numbers(each) and each.ndim == 2 and len(each) == len(inputs[0]) for each in inputs)
        return tuple(standardized(place, each) if table or not place else each for place, each in enumerate(inputs))

    with _at_first_network(change):
        yield


@contextmanager
def _constant_input(_fork: Fork) -> Iterator[None]:
    """The first network with weights sees one number for each feature, in all samples and places: its first mean.

    What else it is given stays. One that is given nothing by position is left as it is, and so is one of whose other
    numbers there are more: a time may come before what it is the time of.
    """
    state: dict[str, Tensor] = {}

    def change(_module: nn.Module, inputs: Any) -> Any:
        given = inputs[0] if inputs else None
        if not isinstance(given, Tensor) or not given.ndim or not given.numel():
            return None
        others = [each for each in inputs[1:] if isinstance(each, Tensor) and each.is_floating_point()]
        if any(each.numel() > given.numel() for each in others):
            return None
        if not given.is_floating_point():
            return (torch.full_like(given, state.setdefault("first", given.detach().flatten()[0]).item()), *inputs[1:])
        mean = state.setdefault("mean", by_feature(given.detach()).mean(dim=1) if given.ndim > 1 else given.mean())
        if given.ndim == 1:
            return (torch.full_like(given, mean.item()), *inputs[1:])
        shape = [1] * given.ndim
        shape[feature_axis(given)] = -1
        return (
            (mean.view(shape).expand_as(given).clone(), *inputs[1:])
            if len(mean) == given.shape[feature_axis(given)]
            else None
        )

    with _at_first_network(change):
        yield


@contextmanager
def _over_the_sample(_fork: Fork) -> Iterator[None]:
    """Batch norms normalize within each sample, over groups of its channels, with the weights that they have."""

    def after(module: nn.Module, inputs: tuple[Any, ...], _output: Any) -> Any:
        if not isinstance(module, nn.modules.batchnorm._BatchNorm) or not module.training:
            return None
        channels = inputs[0].shape[1]
        groups = 1 if channels % PER_GROUP else channels // PER_GROUP
        return nn.functional.group_norm(inputs[0], groups, module.weight, module.bias, module.eps)

    handle = nn.modules.module.register_module_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _redrawn(_fork: Fork) -> Iterator[None]:
    """Weights are drawn anew for the activations that follow them, before the first step."""
    with _before_first_call(redraw):
        yield


@contextmanager
def _rectified(_fork: Fork) -> Iterator[None]:
    """Hidden sigmoids and tangents are ReLUs, and weights are drawn anew for them, before the first step."""
    with rectified() as rectifier:

        def change(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            redraw(module, inputs, instead=dict.fromkeys(SQUASHING, "relu"))
            rectifier.watch(module, inputs)

        with _before_first_call(change):
            yield


@contextmanager
def _between(fork: Fork) -> Iterator[None]:
    """What layers or parameters of those names make passes a ReLU, in all networks that have one of that name."""
    names: dict[int, str] = {}
    inside: list[nn.Module] = []

    def before(module: nn.Module, _inputs: Any) -> None:
        if not inside and id(module) not in names:
            for name, each in itertools.chain(module.named_modules(), module.named_parameters()):
                names.setdefault(id(each), name)
        inside.append(module)

    def after(module: nn.Module, _inputs: Any, output: Any) -> Any:
        if inside:
            inside.pop()
        named = names.get(id(module)) in fork.layers and isinstance(output, Tensor)
        return torch.relu(output) if named else None

    handles = [
        nn.modules.module.register_module_forward_pre_hook(before),
        nn.modules.module.register_module_forward_hook(after, always_call=True),
    ]
    try:
        with Between(names, fork.layers):
            yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _fewer_outputs(fork: Fork) -> Iterator[None]:
    """Cross-entropies and logarithms of probabilities are taken over the first classes alone, as many as the factor."""
    with Narrowed(int(fork.factor)):
        yield


@contextmanager
def _in_units(_fork: Fork) -> Iterator[None]:
    """What is compared with numbers is multiplied by their first deviation, and moved by their first mean."""
    with InUnits():
        yield


@contextmanager
def _classes_alike(_fork: Fork) -> Iterator[None]:
    """Cross-entropies without weights get some that are the inverse of the classes' numbers of samples so far."""
    with Alike():
        yield


@contextmanager
def _squashed_gently(_fork: Fork) -> Iterator[None]:
    """What a network gives a sigmoid or a tangent is divided by its first call's deviation, where that is above 1."""
    inside: list[nn.Module] = []

    def before(module: nn.Module, _inputs: Any) -> None:
        inside.append(module)

    def after(_module: nn.Module, _inputs: Any, _outputs: Any) -> None:
        if inside:
            inside.pop()

    handles = [
        nn.modules.module.register_module_forward_pre_hook(before),
        nn.modules.module.register_module_forward_hook(after, always_call=True),
    ]
    try:
        with Gently(inside):
            yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _smaller_embeddings(_fork: Fork) -> Iterator[None]:
    """Tables of embeddings are made smaller before the first step, so that each deviates by 0.02."""

    def change(module: nn.Module, _inputs: tuple[Any, ...]) -> None:
        for each in module.modules():
            if isinstance(each, nn.Embedding | nn.EmbeddingBag):
                with torch.no_grad():
                    deviation = each.weight.std(correction=0)
                    each.weight.mul_((EMBEDDED / deviation).clamp(max=1.0))

    with _before_first_call(change):
        yield


def redraw(module: nn.Module, inputs: tuple[Any, ...], *, instead: Mapping[str, str] = MappingProxyType({})) -> None:
    """Draw the weights of a network anew for the activations that follow them.

    Args:
        module: the network; it is changed.
        inputs: that it can be called with.
        instead: other activations that stand in the place of some, by name.
    """
    followed = {layer.name: layer.activation or "" for layer in trace(module, inputs) if layer.is_weighted}
    gains = {
        name: ACTIVATIONS[instead.get(activation, activation)].gain
        for name, activation in followed.items()
        if instead.get(activation, activation) in ACTIVATIONS
    }
    generator = torch.Generator().manual_seed(SEED)
    initialize(module, "kaiming", batch=inputs, gain=gains, generator=generator)


@contextmanager
def _at_steps(settings: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[None]:
    """During each optimizer step its groups have other settings; before and after, their own."""
    own: list[dict[str, Any]] = []

    def before(optimizer: Optimizer, _args: Any, _options: Any) -> None:
        own[:] = []
        for group in optimizer.param_groups:
            others = settings(group)
            own.append({name: group[name] for name in others})
            group.update(others)

    def after(optimizer: Optimizer, _args: Any, _options: Any) -> None:
        for group, mine in zip(optimizer.param_groups, own, strict=True):
            group.update(mine)

    handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _at_first_network(change: Callable[[nn.Module, Any], Any]) -> Iterator[None]:
    """Each call of the first network with weights gets other inputs; None leaves them."""
    first: list[nn.Module] = []

    def before(module: nn.Module, inputs: Any) -> Any:
        if not first and any(True for _ in module.parameters()):
            first.append(module)
        return change(module, inputs) if first and first[0] is module else None

    handle = nn.modules.module.register_module_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _before_first_call(change: Callable[[nn.Module, tuple[Any, ...]], None]) -> Iterator[None]:
    """Each network that trains is changed once, before it is called for the first time."""
    state: dict[str, Any] = {"inside": False, "seen": set()}

    def before(module: nn.Module, inputs: Any) -> None:
        if state["inside"] or id(module) in state["seen"]:
            return
        # What it calls is part of it.
        state["seen"] |= {id(each) for each in module.modules()}
        if any(True for _ in module.parameters()) and inputs:
            state["inside"] = True
            try:
                change(module, tuple(inputs))
            finally:
                state["inside"] = False

    handle = nn.modules.module.register_module_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def _is_numbers(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1


def feature_statistics(given: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature, in shapes that fit the inputs; what does not vary keeps its scale.

    Args:
        given: a batch (samples, ...); channels are a picture's features.
    """
    rows = by_feature(given.detach().double())
    mean, deviation = rows.mean(dim=1), rows.std(dim=1, correction=0)
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    shape = [1] * given.ndim
    shape[feature_axis(given)] = -1
    return mean.view(shape), scale.view(shape)


@contextmanager
def _in_training_mode(_fork: Fork) -> Iterator[None]:
    """Networks with weights are in training mode whenever they are called with gradients."""
    depth: list[nn.Module] = []

    def before(module: nn.Module, _inputs: Any) -> None:
        if not depth and torch.is_grad_enabled() and any(each.requires_grad for each in module.parameters()):
            for each in module.modules():
                # A module may understand its own `train` otherwise.
                each.training = True
        depth.append(module)

    def after(_module: nn.Module, _inputs: Any, _outputs: Any) -> None:
        if depth:
            depth.pop()

    handles = [
        nn.modules.module.register_module_forward_pre_hook(before),
        nn.modules.module.register_module_forward_hook(after, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _without_clipping(_fork: Fork) -> Iterator[None]:
    """torch's functions leave gradients as they are; what they return is what they would have."""
    places = [
        (nn.utils.clip_grad, "_clip_grads_with_norm_"),
        (nn.utils, "clip_grads_with_norm_"),
        (nn.utils.clip_grad, "clip_grad_value_"),
        (nn.utils, "clip_grad_value_"),
    ]
    own = [getattr(owner, name) for owner, name in places]
    for owner, name in places:
        setattr(owner, name, lambda *_given, **_options: None)
    try:
        yield
    finally:
        for (owner, name), function in zip(places, own, strict=True):
            setattr(owner, name, function)


INTERVENTIONS: dict[Changed, Callable[[Fork], AbstractContextManager[None]]] = {
    "learning rate": _rate,
    "learning rate sweep": _sweep,
    "standardized input": _standardized,
    "constant input": _constant_input,
    "redrawn weights": _redrawn,
    "ReLU": _rectified,
    "ReLU between": _between,
    "fewer outputs": _fewer_outputs,
    "no weight decay or dropout": _without_decay,
    "norms over the sample": _over_the_sample,
    "training mode": _in_training_mode,
    "no gradient clipping": _without_clipping,
    "classes counted alike": _classes_alike,
    "squashed numbers of deviation 1": _squashed_gently,
    "embeddings of deviation 0.02": _smaller_embeddings,
    "outputs in the units of the targets": _in_units,
}
"""What a fork names -> how it is done."""
