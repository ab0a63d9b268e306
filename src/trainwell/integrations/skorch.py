"""Watch what skorch trains: `NeuralNetClassifier(..., callbacks=[WatchCallback()])`."""

from collections.abc import Sequence
from typing import Any

from skorch.callbacks import Callback

from trainwell.watching import Told, Watch


class WatchCallback(Callback):  # type: ignore[misc]  # skorch has no types
    """`trainwell.watch` around each `fit`.

    Args:
        select: codes of the rules to ask; None for all.
        tell: is handed each finding once, as soon as it stands; None: nobody is.

    Attributes:
        watched: the last fit; None before the first.
    """

    def __init__(self, *, select: Sequence[str] | None = None, tell: Told | None = None) -> None:
        self.select, self.tell = select, tell
        self.watched: Watch | None = None

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Begin to listen."""
        self.watched = Watch(select=self.select, tell=self.tell).begin()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Cease."""
        if self.watched is not None:
            self.watched.end()
