"""A network run once and left bit for bit as found."""

import contextlib
import copy
import inspect
import random
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainwell.anatomy.kinds import kind_of
from trainwell.core.errors import ModelError, SettingError, suggestion
from trainwell.core.records.layer import WEIGHTED, Shape

Batch = Tensor | Sequence[Any] | Mapping[str, Any]
"""What a network is called with: a tensor, a tuple of positional arguments, or a dict of keyword arguments."""


@contextlib.contextmanager
def undisturbed(model: nn.Module, *, training: bool = False) -> Iterator[None]:
    """Within, the network runs without gradients in evaluation mode; after, it is bit for bit as found.

    Put back are parameters, buffers, gradients, requires_grad, modes, hooks, plain attributes of the modules and their
    generators, and the global generators of torch, Python and NumPy; also where the block raises. Costs one copy of the
    parameters. What a network changes outside itself (a list that a hook of the user's appends to) stays changed.

    Args:
        model: any module.
        training: training mode instead of evaluation mode.
    Yields:
        Nothing.
    Raises:
        ModelError: the network has lazy modules that have not seen a batch, or is scripted.
    Example:
        >>> norm = nn.BatchNorm1d(3)
        >>> with undisturbed(norm, training=True):
        ...     _ = norm(torch.ones(4, 3))
        >>> norm.num_batches_tracked.item()
        0
    """
    refuse_unwatchable(model)
    tensors = [*model.parameters(), *model.buffers()]
    grads = [(tensor, tensor.grad) for tensor in tensors if tensor.is_leaf]
    tensors += [grad for _, grad in grads if grad is not None]
    copies = [(tensor, tensor.detach().clone(), _version(tensor), tensor.requires_grad) for tensor in tensors]
    modules = [(module, dict(vars(module))) for module in model.modules()]
    containers = [
        (value, copy.copy(value)) for _, found in modules for value in found.values() if type(value) in _CONTAINERS
    ]
    try:
        with _generators_kept(model), _eager(model), torch.no_grad():
            model.train(training)
            yield
    finally:
        for module, found in modules:
            for name in vars(module).keys() - found.keys():
                del vars(module)[name]
            vars(module).update(found)
        for live, found_in in containers:
            # Filled again, not replaced: a hook's handle holds a reference to its container.
            live.clear()
            live.extend(found_in) if isinstance(live, list) else live.update(found_in)
        for tensor, found_data, version, requires_grad in copies:
            # Through `data` and only where something changed: a raised version would break a graph that the user holds.
            if _version(tensor) != version or not torch.equal(tensor, found_data):
                tensor.data.copy_(found_data)
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
        for tensor, grad in grads:
            if tensor.grad is not grad:
                tensor.grad = grad


_CONTAINERS: tuple[type, ...] = (dict, OrderedDict, defaultdict, list, set)


def refuse_unwatchable(model: nn.Module) -> None:
    """Running lazy modules makes their parameters, which is the user's to do; scripted modules take no hooks."""
    if any(nn.parameter.is_lazy(tensor) for tensor in [*model.parameters(), *model.buffers()]):
        raise ModelError(
            "A network must have its parameters before it is looked at, but got lazy modules that have not seen a "
            "batch. Call it once on a batch first."
        )
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise ModelError(
            "A network must be Python to be looked at, but got one that torch.jit has compiled. Pass the module that "
            "it was compiled from."
        )


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


@contextlib.contextmanager
def _generators_kept(model: nn.Module) -> Iterator[None]:
    """The global generators, and those that the modules hold, as found after the block."""
    attributes = (value for module in model.modules() for value in vars(module).values())
    own = [value for value in attributes if isinstance(value, torch.Generator)]
    states = [generator.get_state() for generator in own]
    python = random.getstate()
    # NumPy is not imported for this: what is not loaded has drawn nothing.
    numpy = sys.modules.get("numpy")
    numpy_state = None if numpy is None else numpy.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    cpu = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        random.setstate(python)
        for generator, state in zip(own, states, strict=True):
            generator.set_state(state)


def call(model: nn.Module, batch: Batch) -> Any:
    """The network's output on a batch.

    A tensor or a list is the one argument. A tuple is the positional arguments and a dict the keyword arguments, unless
    the network's `forward` cannot take them so: then it is the one argument too.

    Args:
        model: any module.
        batch: its input.
    Returns:
        Whatever it returns.
    Example:
        >>> call(nn.Bilinear(2, 3, 4), (torch.ones(5, 2), torch.ones(5, 3))).shape
        torch.Size([5, 4])
    """
    if isinstance(batch, tuple) and _accepts(model, *batch):
        return model(*batch)
    if isinstance(batch, Mapping) and all(isinstance(key, str) for key in batch) and _accepts(model, **batch):
        return model(**batch)
    return model(batch)


def _eager(model: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """Compiled code sees no hooks: a compiled network is run as it was written."""
    compiled = any(
        module._compiled_call_impl is not None or type(module).__name__ == "OptimizedModule"
        for module in model.modules()
    )
    return torch.compiler.set_stance("force_eager") if compiled else contextlib.nullcontext()


def _accepts(model: nn.Module, *args: Any, **kwargs: Any) -> bool:
    try:
        inspect.signature(model.forward).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def capture(
    model: nn.Module, batch: Batch, names: Sequence[str] | None = None, *, training: bool = False
) -> dict[str, tuple[Tensor, ...]]:
    """What layers put out during one pass.

    Args:
        model: any module; left bit for bit as found.
        batch: as for `call`.
        names: dotted names of modules; None for every weighted layer that is a module.
        training: run it in training mode instead of evaluation mode.
    Returns:
        Name -> its first output tensor of each call, detached copies (a later in-place activation cannot change
        them); names in execution order, an empty tuple for a module that was not called.
    Raises:
        SettingError: a name is no module of the network.
        ModelError: the network has lazy modules that have not seen a batch, or is scripted.
    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
        >>> {name: outputs[0].shape for name, outputs in capture(model, torch.ones(3, 4)).items()}
        {'0': torch.Size([3, 8]), '2': torch.Size([3, 2])}
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if names is None:
        names = [name for name, module in model.named_modules() if (kind := kind_of(module)) and kind.role in WEIGHTED]
    if unknown := [name for name in names if name not in modules]:
        raise SettingError(
            f"`names` must be modules of the network, but got {', '.join(map(repr, unknown))}. "
            f"{suggestion(unknown[0], [name for name in modules if name])}"
        )
    seen: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            seen.setdefault(name, []).extend(tensor.detach().clone() for tensor in tensors_in(output)[:1])

        return hook

    with undisturbed(model, training=training), contextlib.ExitStack() as hooks:
        for name in dict.fromkeys(names):
            hooks.callback(modules[name].register_forward_hook(keep(name)).remove)
        call(model, mapped(batch, Tensor.clone))
    return {name: tuple(seen.get(name, ())) for name in [*seen, *(name for name in names if name not in seen)]}


def mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with the function applied to each tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(item, function) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(item, function) for item in value)
    if isinstance(value, Mapping):
        return {key: mapped(item, function) for key, item in value.items()}
    return value


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in tensors_in(item)]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_in(item)]
    if is_dataclass(value) and not isinstance(value, type):
        return [tensor for item in fields(value) for tensor in tensors_in(getattr(value, item.name))]
    return []


def shapes_in(value: Any) -> tuple[Shape, ...]:
    """The shapes of the tensors in a structure."""
    return tuple(tuple(tensor.shape) for tensor in tensors_in(value))
