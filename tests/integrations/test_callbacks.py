"""integrations/: real loops of other libraries are watched, and end with the same weights."""

from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from trainwell.core.seeds import seeded
from trainwell.watching import Watch

X = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(dim=1)

if find_spec("torchvision") is not None:
    # Its wheel declares its operators for another build of torch; torchmetrics imports it where it is there.
    declared = torch.library.Library("torchvision", "DEF")
    for operator in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", "qnms(Tensor dets) -> Tensor"):
        with suppress(RuntimeError):
            declared.define(operator)

Ran = tuple[dict[str, Tensor], Watch | None]
Run = Callable[[bool, nn.Sequential, Path], Ran]
"""Whether it is watched, the network, a folder -> its weights, and what was watched."""


def network(*, twice: bool) -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), *([nn.Softmax(dim=1)] if twice else []))


def by_lightning(watched: bool, model: nn.Sequential, folder: Path) -> Ran:
    lightning = pytest.importorskip("lightning.pytorch")
    from trainwell.integrations.lightning import WatchCallback

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]  # known when the test runs
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, _number: int) -> Tensor:
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    callback = WatchCallback()
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[callback] if watched else [],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(TensorDataset(X, Y), batch_size=16))
    return model.state_dict(), callback.watched


def by_transformers(watched: bool, model: nn.Sequential, folder: Path) -> Ran:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from trainwell.integrations.transformers import WatchCallback

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            return {"loss": F.cross_entropy(self.model(x), labels)}

    callback = WatchCallback()
    settings = transformers.TrainingArguments(
        output_dir=str(folder), num_train_epochs=2, per_device_train_batch_size=16, report_to=[], use_cpu=True
    )
    rows = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    transformers.Trainer(Wrapped(), settings, train_dataset=rows, callbacks=[callback] if watched else []).train()
    return model.state_dict(), callback.watched


def by_fastai(watched: bool, model: nn.Sequential, _folder: Path) -> Ran:
    pytest.importorskip("fastai")
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import SGD

    from trainwell.integrations.fastai import WatchCallback

    callback = WatchCallback()
    loader = DataLoader(TensorDataset(X, Y), batch_size=16)
    learner = Learner(DataLoaders(loader, loader), model, loss_func=nn.CrossEntropyLoss(), opt_func=SGD)
    with learner.no_logging():
        learner.fit(2, lr=0.1, cbs=[callback] if watched else [])
    return model.state_dict(), callback.watched


def by_skorch(watched: bool, model: nn.Sequential, _folder: Path) -> Ran:
    skorch = pytest.importorskip("skorch")
    from trainwell.integrations.skorch import WatchCallback

    callback = WatchCallback()
    net = skorch.NeuralNetClassifier(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=0.1,
        batch_size=16,
        max_epochs=2,
        train_split=None,
        verbose=0,
        callbacks=[callback] if watched else [],
    )
    net.fit(X.numpy(), Y.numpy())
    return net.module_.state_dict(), callback.watched


RUNS: dict[str, Run] = {
    "lightning": by_lightning,
    "transformers": by_transformers,
    "fastai": by_fastai,
    "skorch": by_skorch,
}


@pytest.mark.filterwarnings("ignore")  # of the libraries themselves
@pytest.mark.parametrize("name", RUNS)
def test_a_fit_is_watched_and_ends_with_the_same_weights(name: str, tmp_path: Path) -> None:
    run = RUNS[name]
    with seeded(1):
        plain, nothing = run(False, network(twice=False), tmp_path)
    with seeded(1):
        found, watched = run(True, network(twice=False), tmp_path)
    assert nothing is None
    assert watched is not None
    assert watched.steps == 12
    assert [each for each in watched.findings if each.severity != "info"] == []
    assert all(torch.equal(found[key], plain[key]) for key in plain)
    assert any(not torch.equal(found[key], value) for key, value in network(twice=False).state_dict().items())


@pytest.mark.filterwarnings("ignore")  # of the libraries themselves
@pytest.mark.parametrize("name", RUNS)
def test_a_fault_is_found(name: str, tmp_path: Path) -> None:
    _, watched = RUNS[name](True, network(twice=True), tmp_path)
    assert watched is not None
    assert watched.diagnosis.headline is not None
    assert watched.diagnosis.headline.code == "ACT006"
