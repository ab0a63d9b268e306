"""Watch what Lightning trains: `Trainer(callbacks=[WatchCallback()])`."""

from typing import Any

from lightning.pytorch.callbacks import Callback

from trainwell.integrations.watching import Watching


class WatchCallback(Watching, Callback):
    """`trainwell.watch` around each fit: see `Watching`."""

    def on_fit_start(self, *_: Any) -> None:
        """Begin to listen."""
        self.begin_watching()

    def on_fit_end(self, *_: Any) -> None:
        """Cease."""
        self.end_watching()

    def on_exception(self, *_: Any) -> None:
        """Cease too where the training raised."""
        self.end_watching()
