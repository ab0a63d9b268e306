"""Watch what Hugging Face's Trainer trains: `Trainer(callbacks=[WatchCallback()], ...)`."""

from typing import Any

from transformers import TrainerCallback

from trainwell.integrations.watching import Watching


class WatchCallback(Watching, TrainerCallback):
    """`trainwell.watch` around each train: see `Watching`."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Begin to listen."""
        self.begin_watching()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Cease."""
        self.end_watching()
