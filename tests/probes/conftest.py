"""Setups with a known answer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from trainwell.core.records.layout import OutputLayout
from trainwell.training.objective import Objective
from trainwell.training.setup import Setup


def blobs(samples: int = 120) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % 3
    centres = 3.0 * torch.randn(3, 4, generator=draw)
    return centres[labels] + torch.randn(samples, 4, generator=draw), labels


@pytest.fixture
def setup_of() -> Callable[..., Setup]:
    """Makes a Setup for a network on three clouds of points."""

    def make(model: nn.Module, *, classes: int = 3, optimizer: str = "sgd", label_smoothing: float = 0.0) -> Setup:
        inputs, labels = blobs()
        output = OutputLayout(task="classification", size=classes, names=tuple(str(i) for i in range(classes)))
        kinds = {
            "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
            "adamw": lambda model: torch.optim.AdamW(model.parameters(), lr=0.1),
        }
        return Setup(
            model=model,
            inputs=inputs,
            targets=labels,
            train=torch.arange(90),
            validation=torch.arange(90, 120),
            output=output,
            loss=Objective(output=output, label_smoothing=label_smoothing),
            optimizer=kinds[optimizer],
            batch_size=16,
            seed=0,
        )

    return make
