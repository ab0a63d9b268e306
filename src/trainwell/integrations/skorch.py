"""Watch what skorch trains: `NeuralNetClassifier(..., callbacks=[WatchCallback()])`."""

from typing import Any

from skorch.callbacks import Callback

from trainwell.integrations.watching import Watching


class WatchCallback(Watching, Callback):  # type: ignore[misc]  # skorch has no types
    """`trainwell.watch` around each fit: see `Watching`."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Begin to listen."""
        self.begin_watching()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Cease."""
        self.end_watching()
