"""Optimizers that are not torch's own: torch's hooks on optimizer steps are told of their steps too."""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from trainwell.capture.ear import Telling, told

FOREIGN = {"fastai.optimizer": "Optimizer"}
"""A module -> the class in it that takes steps by itself. Wrappers of torch's optimizers need no entry."""


class Foreign:
    """Tells of the steps of such optimizers, from `look` on until it is closed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._found: set[str] = set()
        self._lent: dict[int, Lent] = {}

    def look(self) -> None:
        """Find the classes that the script has imported by now: none is imported for its own sake."""
        for name, kind in FOREIGN.items():
            owner = getattr(sys.modules.get(name), kind, None)
            if owner is not None and name not in self._found:
                self._found.add(name)
                wanted = Telling(owner, "step", before=self._before, after=self._after)
                self._stack.enter_context(told(wanted, _called))

    def close(self) -> None:
        """Tell no more."""
        self._stack.close()
        self._found.clear()

    def _before(self, args: tuple[Any, ...], _options: dict[str, Any]) -> None:
        lent = self._lent.setdefault(id(args[0]), Lent(args[0]))
        for hook in tuple(_global_optimizer_pre_hooks.values()):
            hook(lent, (), {})

    def _after(self, args: tuple[Any, ...], _options: dict[str, Any], _found: Any) -> None:
        for hook in tuple(_global_optimizer_post_hooks.values()):
            hook(self._lent[id(args[0])], (), {})


class Lent(Optimizer):
    """Such an optimizer, with what hooks ask of one of torch's: it takes no step itself, and holds nothing.

    Args:
        own: has `param_lists` and, for each, the settings in `hypers`.
    """

    def __init__(self, own: Any) -> None:
        # Torch's own would fill the groups anew.
        self._own = own

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The groups, as they stand now."""
        return [LentGroup(*each) for each in zip(self._own.param_lists, self._own.hypers, strict=True)]


class LentGroup(dict[str, Any]):
    """A group of parameters; what is set in it is set in the optimizer.

    Its settings keep their own names. Weight decay is `wd` in fastai, which spares single parameters of a group: under
    torch's name it would say too much.

    Args:
        parameters: of the group.
        settings: of the optimizer, which are written to.
    """

    def __init__(self, parameters: Iterable[Any], settings: dict[str, Any]) -> None:
        super().__init__(settings, params=list(parameters))
        self._settings = settings

    def update(self, others: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Set several."""
        super().update(others)
        self._settings.update(others)


def _called(work: Callable[..., None], *given: Any) -> None:
    work(*given)
