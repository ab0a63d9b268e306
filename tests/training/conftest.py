"""Small networks and data that the training tests share."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from trainwell.core.records.layout import OutputLayout

CLASSES = OutputLayout(task="classification", size=3, names=("a", "b", "c"))


class Parts:
    """A network with batch norm and dropout, data, and whatever is needed to train it by hand too."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(50, 4, generator=draw)
        self.targets = torch.randint(0, 3, (50,), generator=draw)
        self.output = CLASSES

    def network(self, *, dropout: float = 0.3) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def state() -> Callable[[nn.Module], dict[str, Tensor]]:
    """A copy of all parameters and buffers."""
    return lambda model: {name: tensor.clone() for name, tensor in model.state_dict().items()}
