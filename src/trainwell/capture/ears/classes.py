"""What each class costs: of samples that a loss function counts as they come."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.losses import ClassesSeen

MOST_CLASSES = 20
"""Of more, the rare ones are seen too seldom in a few hundred steps."""
IGNORED = -100
"""The class that cross-entropy passes over where nothing else is said."""
MOST = 1000
"""Calls whose losses are kept."""

_Costs = tuple[int, Tensor, Tensor, Tensor]
"""Steps taken before; of each class, the sum of its samples' losses, their number, and how many are answered right."""


class Classes(Ear):
    """Fills `classes`, from the first line that compares samples with classes, and from evaluations."""

    functions = frozenset({"cross_entropy", "binary_cross_entropy_with_logits"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.where: Where | None = None
        self.weighted = self.binary = False
        self.counts = torch.zeros(0, dtype=torch.long)
        self.trained: deque[_Costs] = deque(maxlen=MOST)
        self.held_out: deque[_Costs] = deque(maxlen=MOST)
        self._are_samples = False

    def passed(self, call: Passed) -> None:
        if call.outermost and any(True for _ in call.module.parameters()):
            found = call.outputs
            self._are_samples = isinstance(found, Tensor) and (found.ndim == 2 or (found.ndim == 1 and len(found) > 1))

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        # A loss may be a module; inside a network it may be of anything.
        inside = self.scene.inside and any(True for _ in self.scene.inside[0].parameters())
        if not self._are_samples or inside or not isinstance(found, Tensor):
            return
        given = dict(zip(("input", "target", "weight"), args, strict=False)) | options
        ignored = given.get("ignore_index", IGNORED)
        asked = _asked(name, given["input"].detach().float().cpu(), given["target"].detach().cpu(), ignored)
        if asked is None:
            return
        losses, labels, right, classes = asked
        costs = torch.bincount(labels, weights=losses.double(), minlength=classes)
        counts = torch.bincount(labels, minlength=classes)
        seen = self.scene.taken, costs, counts, torch.bincount(labels[right], minlength=classes)
        if not found.requires_grad:
            if self.where and classes == len(self.counts):
                self.held_out.append(seen)
            return
        where = user_line()
        if self.where is None:
            self.where, self.counts = where, torch.zeros(classes, dtype=torch.long)
            self.binary = name != "cross_entropy"
        if where != self.where or classes != len(self.counts):
            return
        self.weighted = self.weighted or any(given.get(each) is not None for each in ("weight", "pos_weight"))
        self.counts = self.counts + counts
        self.trained.append(seen)

    def seen(self) -> dict[str, Any]:
        if self.where is None:
            return {"classes": None}
        late, losses, right = self._mean(self.trained)
        tested, tested_losses, tested_right = self._mean(self.held_out)
        return {
            "classes": ClassesSeen(
                counts=tuple(self.counts.tolist()),
                late=late,
                losses=losses,
                tested=tested,
                tested_losses=tested_losses,
                right=right,
                tested_right=tested_right,
                weighted=self.weighted,
                binary=self.binary,
                where=self.where,
            )
        }

    def _mean(self, calls: Iterable[_Costs]) -> tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]]:
        """Samples of each class in the last third of the steps, what one costs, and how many are answered right."""
        since = self.scene.taken - self.scene.taken // 3
        last = [seen for seen in calls if seen[0] >= since]
        if not last:
            return (), (), ()
        costs = torch.stack([each for _, each, _, _ in last]).sum(dim=0)
        counts = torch.stack([each for _, _, each, _ in last]).sum(dim=0)
        right = torch.stack([each for _, _, _, each in last]).sum(dim=0)
        return tuple(counts.tolist()), tuple((costs / counts).tolist()), tuple(right.tolist())


def _asked(name: str, outputs: Tensor, targets: Tensor, ignored: int) -> tuple[Tensor, Tensor, Tensor, int] | None:
    """Of each sample the loss, the class, and whether it is answered right; and how many classes there are.

    None: these are no classes of samples.
    """
    if name == "cross_entropy":
        if (
            outputs.ndim != 2
            or targets.ndim != 1
            or targets.is_floating_point()
            or not 2 <= outputs.shape[1] <= MOST_CLASSES
        ):
            return None
        counted = (targets >= 0) & (targets < outputs.shape[1]) & (targets != ignored)
        outputs, targets = outputs[counted], targets[counted].long()
        losses = F.cross_entropy(outputs.float(), targets, reduction="none")
        return losses, targets, outputs.argmax(dim=1) == targets, outputs.shape[1]
    if not outputs.ndim or outputs.numel() != len(outputs) or targets.numel() != len(outputs):
        return None
    outputs, targets = outputs.flatten().float(), targets.flatten().float()
    if not bool(((targets == 0) | (targets == 1)).all()):
        return None
    losses = F.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    return losses, targets.long(), (outputs > 0) == (targets > 0), 2
