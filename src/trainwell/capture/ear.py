"""What listens for one thing in a training, and how torch is heard."""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(kw_only=True)
class Scene:
    """Where a training stands. The listener writes it, ears read it.

    Attributes:
        taken: optimizer steps so far.
        inside: modules that are being called, the outermost first.
        names: id of a module -> its dotted name in the network that called it first.
        networks: id of an outermost module -> its number, in the order of their first calls.
        optimizers: those that took a step, or are taking one, by id.
        stepped: how many have taken a step, heard or not.
        wants_gradients: whether the script does, where it stands.
    """

    taken: int = 0
    wants_gradients: bool = True
    inside: list[nn.Module] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    networks: dict[int, int] = field(default_factory=dict)
    optimizers: dict[int, Optimizer] = field(default_factory=dict)
    stepped: int = 0

    @property
    def network(self) -> int:
        """Number of the network that is being called."""
        return self.networks[id(self.inside[0])]

    @property
    def innermost(self) -> nn.Module | None:
        """The module that is being called; None: none is."""
        return self.inside[-1] if self.inside else None

    def parameters(self) -> Iterator[Tensor]:
        """What the optimizers have."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                yield from group["params"]


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A call of a module that has come to its end.

    Attributes:
        module: that was called.
        inputs: by position.
        options: by name.
        outputs: whatever it returned; None where it raised.
        network: the outermost one that called it, or it itself.
        with_gradients: whether gradients were wanted.
    """

    module: nn.Module
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    outputs: Any
    network: nn.Module
    with_gradients: bool

    @property
    def outermost(self) -> bool:
        """Whether no other module called it."""
        return self.network is self.module


@dataclass(frozen=True)
class Telling:
    """A function or a method that torch has no hook for: it is replaced by one that tells of its calls.

    Attributes:
        owner: module or class that holds it.
        name: under which.
        before: is handed the arguments by position and by name.
        after: these and what was returned.
        once: whether a call that is made within such a call is a part of it, and is not told.
    """

    owner: Any
    name: str
    before: Callable[[tuple[Any, ...], dict[str, Any]], None] | None = None
    after: Callable[[tuple[Any, ...], dict[str, Any], Any], None] | None = None
    once: bool = False


class Ear:
    """Listens for one thing; what it does not override, it is not told.

    It changes nothing of what it is shown, draws no random numbers and keeps copies where it keeps numbers. It runs
    without gradients and without being heard itself; an error of its own is told, and never reaches the user's code.
    """

    functions: frozenset[str] = frozenset()
    """Names of torch's functions whose calls it is told, wherever they are made."""
    throughout = False
    """Whether what it wants to be told of beyond those is told between the steps that are heard, too."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def entered(self, module: nn.Module, inputs: Any) -> None:
        """A module is called."""

    def passed(self, call: Passed) -> None:
        """A module's call has ended."""

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        """One of `functions` has returned."""

    def refused(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """One of `functions` has raised."""

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        """A backward pass begins, at these."""

    def backward_refused(self, error: RuntimeError) -> None:
        """A backward pass has raised."""

    def stepping(self, optimizer: Optimizer) -> None:
        """An optimizer is about to take a step; a closure is not yet run."""

    def stepped(self, optimizer: Optimizer) -> None:
        """It has taken it; `scene.taken` counts it."""

    def tellings(self) -> Iterable[Telling]:
        """What else it wants to be told of, beyond hooks and `functions`."""
        return ()

    def seen(self) -> dict[str, Any]:
        """Its fields of `Steps`."""
        return {}

    def leave(self) -> None:
        """Take away what it has put on tensors."""


@contextmanager
def told(wanted: Telling, undisturbed: Callable[..., None]) -> Iterator[None]:
    """While this is entered, calls of a function are told.

    Args:
        wanted: which, and to whom.
        undisturbed: runs what is to be told, so that nothing of it is seen from outside.
    """
    original = getattr(wanted.owner, wanted.name)
    inside: set[int] = set()

    @functools.wraps(original)
    def telling(*args: Any, **options: Any) -> Any:
        if torch.compiler.is_compiling():
            return original(*args, **options)
        thread = threading.get_ident()
        if thread in inside:
            return original(*args, **options)
        if wanted.before is not None:
            undisturbed(wanted.before, args, options)
        if wanted.once:
            inside.add(thread)
        try:
            found = original(*args, **options)
        finally:
            inside.discard(thread)
        if wanted.after is not None:
            undisturbed(wanted.after, args, options, found)
        return found

    setattr(wanted.owner, wanted.name, telling)
    try:
        yield
    finally:
        setattr(wanted.owner, wanted.name, original)
