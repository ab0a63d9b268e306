"""Watch what fastai trains: `learn.fit_one_cycle(3, cbs=WatchCallback())`."""

from fastai.callback.core import Callback

from trainwell.integrations.watching import Watching


class WatchCallback(Watching, Callback):  # type: ignore[misc]  # fastai has no types
    """`trainwell.watch` around each fit: see `Watching`."""

    def before_fit(self) -> None:
        """Begin to listen."""
        self.begin_watching()

    def after_fit(self) -> None:
        """Cease; also where the fit was cancelled."""
        self.end_watching()
