"""Batches as a pure function of the step number."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from trainwell.core.errors import DataError
from trainwell.core.seeds import generator

Batch = tuple[Tensor, Tensor]
Change = Callable[[Tensor, Tensor, Tensor, int], Batch]
"""(inputs, targets, their indices, step) -> changed inputs and targets."""


@dataclass(frozen=True, kw_only=True)
class Batches:
    """`batches(step)` is the batch of optimizer step `step`, whatever was asked before.

    Every epoch visits the samples in an order of its own; what does not fill a batch is left to the next epoch's order.

    Attributes:
        inputs: all samples, possibly memory-mapped.
        targets: as many.
        index: the samples to train on.
        batch_size: samples a step, at most as many as there are.
        seed: of the order.
        device: where batches are wanted.
        change: augmentation of a batch: (inputs, targets, indices, step) -> (inputs, targets).
    """

    inputs: Shaped[Tensor, "samples ..."]
    targets: Shaped[Tensor, "samples ..."]
    index: Int[Tensor, " chosen"]
    batch_size: int
    seed: int
    device: str = "cpu"
    change: Change | None = None
    _order: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.index) == 0:
            raise DataError("Training needs at least one sample, but got none.")

    @property
    def size(self) -> int:
        """Samples of one batch."""
        return min(self.batch_size, len(self.index))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one pass over the samples."""
        return len(self.index) // self.size

    def __call__(self, step: int) -> Batch:
        """The batch of optimizer step `step`, from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch not in self._order:
            self._order.clear()
            order = torch.randperm(len(self.index), generator=generator(self.seed, "order", epoch))
            self._order[epoch] = self.index[order]
        chosen = self._order[epoch][position * self.size : (position + 1) * self.size]
        inputs = self.inputs[chosen].to(self.device, non_blocking=True)
        targets = self.targets[chosen].to(self.device, non_blocking=True)
        return (inputs, targets) if self.change is None else self.change(inputs, targets, chosen, step)

    def whole(self) -> Batch:
        """All the samples as one batch, unchanged."""
        return self.inputs[self.index].to(self.device), self.targets[self.index].to(self.device)
