"""What is trained."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import OutputLayout
from trainwell.core.records.trial import Precision
from trainwell.training.batches import Batches, Change
from trainwell.training.objective import Objective


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A network with its data, loss and optimizer. Fields and validation, no verbs.

    Attributes:
        model: the network. Probes work on copies of it.
        inputs: all samples, possibly memory-mapped.
        targets: as many: class index (samples,), or raw targets (samples, targets).
        train: indices of the training part.
        validation: indices of the validation part.
        output: what the network returns.
        loss: (outputs, targets) -> scalar.
        optimizer: makes one for a network.
        batch_size: samples a step.
        seed: of order and draws.
        change: augmentation of a batch.
        precision: of the forward pass.
        device: where batches go.
    Raises:
        SettingError: parts that do not fit each other; all of them at once.
    """

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    train: Tensor
    validation: Tensor
    output: OutputLayout
    loss: Objective
    optimizer: Callable[[nn.Module], Optimizer]
    batch_size: int
    seed: int = 0
    change: Change | None = None
    precision: Precision = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        wrong = []
        if len(self.inputs) != len(self.targets):
            wrong.append(
                f"inputs and targets must be equally many, but got {len(self.inputs)} and {len(self.targets)}: "
                "leave out what has no target"
            )
        if self.batch_size < 1:
            wrong.append(f"`batch_size >= 1` must hold, but got {self.batch_size}: take at least one sample a step")
        if len(self.train) == 0:
            wrong.append("the training part must not be empty: give it samples")
        if wrong:
            raise SettingError("; ".join(wrong) + ".")

    def batches(self, *, samples: int | None = None, plain: bool = False) -> Batches:
        """The training part in batches.

        Args:
            samples: only so many, drawn by the seed; None for all.
            plain: without augmentation.
        """
        index = self.train
        if samples is not None and samples < len(index):
            chosen = torch.randperm(len(index), generator=torch.Generator().manual_seed(self.seed))[:samples]
            index = index[chosen.sort().values]
        return Batches(
            inputs=self.inputs,
            targets=self.targets,
            index=index,
            batch_size=self.batch_size,
            seed=self.seed,
            device=self.device,
            change=None if plain else self.change,
        )

    def with_(self, **changes: object) -> "Setup":
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by __post_init__
