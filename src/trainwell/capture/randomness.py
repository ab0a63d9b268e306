"""Captured networks in test mode: what is left out at random there?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from trainwell.capture.dependence import Call, UntoldError
from trainwell.capture.ear import Scene
from trainwell.capture.ears.dropout import Dropout
from trainwell.core.records.dependence import Randomness


def randomness(calls: Sequence[Call], names: dict[int, str]) -> Randomness:
    """Run each network once in test mode, and hear its dropout.

    Args:
        calls: of the first step.
        names: id of a module -> its dotted name.
    Raises:
        UntoldError: there is no network to run.
    """
    if not calls:
        raise UntoldError("no network was called in training mode")
    scene = Scene(names=names)
    ear = Dropout(scene)
    networks: dict[int, Call] = {}
    for call in calls:
        networks.setdefault(id(call.module), call)
    for call in networks.values():
        for module in call.module.modules():
            # A module's own `train` may take other arguments.
            module.training = False
        with torch.no_grad(), _inside(scene), _Functions(ear):
            call.module(*call.args, **call.options)
    return Randomness(dropout=tuple(each for each in ear.seen()["dropout"] if each.testing))


@contextmanager
def _inside(scene: Scene) -> Iterator[None]:
    """While this is entered, the scene knows which module is being called."""

    def before(module: nn.Module, _inputs: Any) -> None:
        scene.inside.append(module)

    def after(_module: nn.Module, *_rest: Any) -> None:
        scene.inside.pop()

    handles = [
        nn.modules.module.register_module_forward_pre_hook(before),
        nn.modules.module.register_module_forward_hook(after, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Functions(TorchFunctionMode):
    """Tells an ear of the functions that it listens for."""

    def __init__(self, ear: Dropout) -> None:
        super().__init__()
        self.ear = ear

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in self.ear.functions:
            self.ear.called(name, args, kwargs or {}, found)
        return found
