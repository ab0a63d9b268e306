"""The order in which classes come as targets, and the loader that they come from."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from trainwell.capture.dependence import UntoldError
from trainwell.capture.ear import Ear, Scene, Telling
from trainwell.capture.loaders import Loaders, Path, further_labels, order_of, worker_randomness
from trainwell.capture.losses import FUNCTIONS, LINE, loss_nodes, operation
from trainwell.core.records.finding import Where
from trainwell.core.records.loading import FurtherLabels, WorkerRandomness
from trainwell.core.records.seen.data import LabelsSeen
from trainwell.core.records.seen.losses import Compared

MOST_BATCHES = 64
"""Of a line, that are kept."""
MOST_LABELS = 65536
"""Of a batch: where there are more, they are pixels or words, not samples."""
GAP = 10
"""Optimizer steps after which what comes is no longer what comes next: between two of a line others may be taken."""
NO_REDUCTION = 0
"""As a node of a loss function has it."""

COMPARING: dict[str, Compared] = {**FUNCTIONS, "BinaryCrossEntropyBackward": "binary cross-entropy"}


class Order(Ear):
    """Fills `labels`; knows the loader that the training is fed from."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.loaders = Loaders()
        self.feeding: DataLoader[Any] | None = None
        self.lines: dict[Where, _Line] = {}

    def tellings(self) -> Iterable[Telling]:
        return self.loaders.tellings()

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        if self.feeding is None:
            self.feeding = self.loaders.last
        for root in roots:
            for node, _ in loss_nodes(root.grad_fn, COMPARING):
                labels = _labels(node)
                if labels is not None:
                    line = self.lines.setdefault(node.metadata.get(LINE, Where()), _Line())
                    line.hear(labels, step=self.scene.taken, loaders=self.loaders)

    def seen(self) -> dict[str, Any]:
        return {
            "labels": tuple(each.seen(where, self.loaders) for where, each in self.lines.items() if each.batches),
        }

    def workers(self) -> WorkerRandomness:
        """The section `workers`.

        Raises:
            UntoldError: it cannot be told.
        """
        where = Where() if self.feeding is None else self.loaders.place(self.feeding)
        return worker_randomness(self.feeding, where=where)

    def further(self) -> FurtherLabels:
        """The section `further_labels`.

        Raises:
            UntoldError: no line saw one class alone, or it cannot be told.
        """
        for line in self.lines.values():
            labels = torch.cat(line.batches) if line.batches else torch.zeros(0)
            if line.loader is not None and len(labels) and (labels == labels[0]).all():
                return further_labels(line.loader, line.path, seen=len(labels), label=int(labels[0]))
        raise UntoldError("the labels of the first steps are not all of one class, or come from no loader")


class _Line:
    """What one line compares outputs with."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []
        self.loader: DataLoader[Any] | None = None
        self.path: Path = ()
        self._step = 0

    def hear(self, labels: Tensor, *, step: int, loaders: Loaders) -> None:
        """Another batch, where it comes next."""
        if len(self.batches) == MOST_BATCHES or (self.batches and step > self._step + GAP):
            return
        if not self.batches:
            found = loaders.source(labels)
            if found is not None:
                self.loader, self.path = found
        self._step = step
        self.batches.append(labels.cpu().clone())

    def seen(self, where: Where, loaders: Loaders) -> LabelsSeen:
        """How the labels are ordered."""
        first = self.batches[: _period(self.batches)]
        labels = torch.cat(first)
        counts = torch.unique(labels, return_counts=True)[1].tolist()
        expected, deviation = _runs_by_chance(counts)
        whole = [int(each[0]) for each in first if (each == each[0]).all()]
        return LabelsSeen(
            samples=len(labels),
            batches=len(first),
            classes=len(counts),
            runs=1 + int((labels[1:] != labels[:-1]).sum()),
            expected_runs=expected,
            deviation=deviation,
            whole=len(whole),
            filling=len(set(whole)),
            order="" if self.loader is None else order_of(self.loader),
            where=where,
            loaded_at=Where() if self.loader is None else loaders.place(self.loader),
        )


def _labels(node: Any) -> Tensor | None:
    """The classes of a batch of samples; None where targets are something else, or the node is used no more."""
    try:
        targets, reduction = node._saved_target.detach(), node._saved_reduction
    except (AttributeError, RuntimeError):
        return None
    # What is weighted sample by sample is a policy's choice as often as a label.
    if reduction == NO_REDUCTION or not 0 < targets.numel() <= MOST_LABELS:
        return None
    if operation(node) == "NllLossBackward" and targets.ndim < 2:
        labels = targets[targets != node._saved_ignore_index]
        return labels if len(labels) else None
    if COMPARING[operation(node)] == "binary cross-entropy" and targets.ndim and targets.numel() == len(targets):
        yes = targets.flatten() == 1
        return yes.long() if ((targets.flatten() == 0) | yes).all() else None
    return None


def _period(batches: list[Tensor]) -> int:
    """Batches until they come again; where it is one class all along, nothing can be told to come again."""
    if all((each == batches[0][0]).all() for each in batches):
        return len(batches)
    return next(
        period
        for period in range(1, len(batches) + 1)
        if all(torch.equal(each, later) for each, later in zip(batches, batches[period:]))
    )


def _runs_by_chance(counts: list[int]) -> tuple[float, float]:
    """Mean and standard deviation of the number of runs, over all orders of so many of each class.

    Source: Barton and David 1957, Multiple runs.
    """
    n = sum(counts)
    squares, cubes = sum(each**2 for each in counts), sum(each**3 for each in counts)
    if n < 2:
        return float(n), 0.0
    variance = (squares * (squares + n * (n + 1)) - 2 * n * cubes - n**3) / (n**2 * (n - 1))
    return n + 1 - squares / n, math.sqrt(max(variance, 0.0))
