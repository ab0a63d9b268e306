"""Watch what Lightning trains: `Trainer(callbacks=[WatchCallback()])`."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.callbacks import Callback

from trainwell.watching import Told, Watch


class WatchCallback(Callback):
    """`trainwell.watch` around each `fit`.

    Args:
        select: codes of the rules to ask; None for all.
        tell: is handed each finding once, as soon as it stands; None: nobody is.

    Attributes:
        watched: the last fit; None before the first.
    """

    def __init__(self, *, select: Sequence[str] | None = None, tell: Told | None = None) -> None:
        super().__init__()
        self.select, self.tell = select, tell
        self.watched: Watch | None = None

    def on_fit_start(self, *_: Any) -> None:
        """Begin to listen."""
        self.watched = Watch(select=self.select, tell=self.tell).begin()

    def on_fit_end(self, *_: Any) -> None:
        """Cease."""
        if self.watched is not None:
            self.watched.end()

    def on_exception(self, *_: Any) -> None:
        """Cease too where the training raised."""
        self.on_fit_end()
