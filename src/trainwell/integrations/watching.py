"""What the callbacks share: a training is watched between two calls."""

from collections.abc import Sequence

from trainwell.watching import Told, Watch


class Watching:
    """`trainwell.watch` around each training.

    Args:
        select: codes of the rules to ask; None for all.
        tell: is handed each finding once, as soon as it stands; None: nobody is.

    Attributes:
        watched: the last training; None before the first.
    """

    def __init__(self, *, select: Sequence[str] | None = None, tell: Told | None = None) -> None:
        super().__init__()
        self.select, self.tell = select, tell
        self.watched: Watch | None = None

    def begin_watching(self) -> None:
        """Listen from here on."""
        self.watched = Watch(select=self.select, tell=self.tell).begin()

    def end_watching(self) -> None:
        """Cease; nothing happens the second time."""
        if self.watched is not None:
            self.watched.end()
