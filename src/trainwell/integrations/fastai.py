"""Watch what fastai trains: `learn.fit_one_cycle(3, cbs=WatchCallback())`."""

from collections.abc import Sequence

from fastai.callback.core import Callback

from trainwell.watching import Told, Watch


class WatchCallback(Callback):  # type: ignore[misc]  # fastai has no types
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

    def before_fit(self) -> None:
        """Begin to listen."""
        self.watched = Watch(select=self.select, tell=self.tell).begin()

    def after_fit(self) -> None:
        """Cease; also where the fit was cancelled."""
        if self.watched is not None:
            self.watched.end()
