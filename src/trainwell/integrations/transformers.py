"""Watch what Hugging Face's Trainer trains: `Trainer(callbacks=[WatchCallback()], ...)`."""

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

from trainwell.watching import Told, Watch


class WatchCallback(TrainerCallback):
    """`trainwell.watch` around each `train`.

    Args:
        select: codes of the rules to ask; None for all.
        tell: is handed each finding once, as soon as it stands; None: nobody is.

    Attributes:
        watched: the last training; None before the first.
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
