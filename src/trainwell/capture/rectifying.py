"""Other activations at work in somebody's network, whether they are modules or calls of functions."""

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from trainwell.anatomy import call, undisturbed

SQUASHING = ("sigmoid", "tanh", "hardsigmoid")
"""Activations that flatten out on both sides, as torch's functions of them are called; modules call these too."""
MULTIPLYING = ("linear", "matmul", "rmatmul", "mm", "bmm", "addmm", "einsum", "bilinear")
"""What computes with a matrix, beside convolutions."""


@contextmanager
def rectified() -> Iterator["Rectifier"]:
    """While this is entered, hidden sigmoids and tangents of the networks that the rectifier has watched are ReLUs."""
    rectifier = Rectifier()
    handles = [
        nn.modules.module.register_module_forward_pre_hook(rectifier.enter),
        nn.modules.module.register_module_forward_hook(rectifier.leave, always_call=True),
    ]
    try:
        with rectifier:
            yield rectifier
    finally:
        for handle in handles:
            handle.remove()


class Rectifier(TorchFunctionMode):
    """Calls ReLU where a network calls a hidden sigmoid, told by its place among all that the network calls."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[int, frozenset[int]] = {}
        self.inside: list[int] = []
        self.calls = 0

    def watch(self, module: nn.Module, inputs: Sequence[Any]) -> None:
        """See which of a network's calls are hidden; it is run once, and left as it was."""
        self.hidden[id(module)] = hidden_calls(module, tuple(inputs))
        # It is about to be run in earnest.
        self.calls = 0

    def enter(self, module: nn.Module, _inputs: Any) -> None:
        """Count the calls of each run of a network from its beginning."""
        if not self.inside:
            self.calls = 0
        self.inside.append(id(module))

    def leave(self, *_: Any) -> None:
        """Its counterpart."""
        if self.inside:
            self.inside.pop()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name.strip("_") in SQUASHING and self.inside:
            self.calls += 1
            if self.calls - 1 in self.hidden.get(self.inside[0], frozenset()):
                given = args[0] if args else (kwargs or {})["input"]
                return torch.relu_(given) if name.endswith("_") else torch.relu(given)
        return func(*args, **(kwargs or {}))


def hidden_calls(module: nn.Module, inputs: tuple[Any, ...]) -> frozenset[int]:
    """Which of a network's calls of squashing functions are hidden activations, by their place among them.

    Hidden is what a matrix takes up again. A gate, which multiplies another signal, is none, nor is the output's.

    Args:
        module: the network; run once, and left as it was.
        inputs: by position.
    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid())
        >>> sorted(hidden_calls(net, (torch.ones(1, 2),)))
        [0]
    """
    watching = _Watching()
    with undisturbed(module), watching:
        call(module, inputs)
    return frozenset(watching.taken_up - watching.gates)


class _Watching(TorchFunctionMode):
    """Follows what squashing functions give to where it is taken up."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: MutableMapping[Tensor, frozenset[int]] = WeakTensorKeyDictionary()
        self.calls = 0
        self.taken_up: set[int] = set()
        self.gates: set[int] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        given = list(_tensors((args, list((kwargs or {}).values()))))
        marks = frozenset[int]().union(*(self.marks.get(each, frozenset()) for each in given))
        if name in SQUASHING:
            marks = frozenset({self.calls})
            self.calls += 1
        elif name in MULTIPLYING or name.startswith("conv"):
            self.taken_up |= marks
            marks = frozenset()
        elif name in ("mul", "rmul", "imul") and len(given) > 1:
            self.gates |= marks
            marks = frozenset()
        if marks:
            for each in _tensors([found]):
                self.marks[each] = marks
        return found


def _tensors(values: Any) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, tuple | list):
            yield from _tensors(each)
