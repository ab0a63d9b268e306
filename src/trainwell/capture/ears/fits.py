"""What simple models make of the samples of the first steps, where a rule would ask."""

import math
import statistics
from typing import Any

import torch
from torch import Tensor

from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.losses import DIFFERENCES, compared_nodes, sides_of
from trainwell.capture.maps import is_linear, linear_pairs
from trainwell.capture.stored import is_dense
from trainwell.core.records.seen.data import SimpleFits

MOST_SAMPLES = 1500
"""That are kept."""
MOST_FEATURES = 4096
"""Of a sample: of more, every second, third and so on."""
FEWEST = 60
"""Different samples: of fewer nothing is said."""
MOST_CLASSES = 20
"""Class numbers of more classes than this are hardly told from any other whole numbers."""
FITTED = 2 / 3
"""Share of the samples that the models are fitted to."""
SHORTEST = 20
"""Steps, of a third of a training, over which it is asked whether its loss comes down."""
HARDLY = 0.8
"""Of its first third, above which the last third of a loss is where it is asked what simple models make of the data."""
RIDGES = (1e-3, 1e-1)
"""Share of the mean of a kernel's diagonal that is added to it: little and much smoothing, the better one counts."""


class Fits(Ear):
    """Fills `fits`, where a network is linear though it has layers for more, fits class numbers, or learns nothing."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.given: Tensor | None = None
        self.inputs: list[Tensor] = []
        self.targets: list[Tensor] = []
        self.samples = 0
        self.linear = self.whole = False
        self.values: list[float] = []
        self.asked: bool | None = None
        self.found: tuple[int, SimpleFits | None] = (0, None)

    def passed(self, call: Passed) -> None:
        if not call.outermost or not call.with_gradients or self.samples >= MOST_SAMPLES:
            return
        if not any(True for _ in call.module.parameters()):
            # A loss is a module too.
            return
        given = next((each for each in call.inputs if isinstance(each, Tensor)), None)
        fits = given is not None and given.is_floating_point() and given.ndim > 1 and is_dense(given)
        self.given = given.detach() if fits and given is not None else None

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        given, self.given = self.given, None
        if len(roots) == 1 and roots[0].numel() == 1:
            self.values.append(roots[0].detach().float().item())
        if given is None or self.samples >= MOST_SAMPLES or len(roots) != 1 or roots[0].grad_fn is None:
            return
        root = roots[0].grad_fn
        if self.asked is None:
            self.linear = any(True for _ in linear_pairs(root)) and is_linear(root)
        for node, function in compared_nodes(root):
            sides = sides_of(node, function)
            outputs, targets = sides.outputs, sides.targets
            if outputs is None or targets is None or targets.ndim == 0:
                continue
            if len(targets) != len(given) and given.ndim > 2 and len(targets) == given.shape[1]:
                given = given.transpose(0, 1)
            if len(targets) != len(given):
                continue
            numbers = targets.detach().float().flatten(1) if targets.ndim > 1 else targets.detach().float().unsqueeze(1)
            whole = function in DIFFERENCES and numbers.shape[1] == 1 and bool((numbers == numbers.round()).all())
            self.asked = bool(self.asked or self.linear or whole)
            self.whole = self.whole or whole
            flat = given.flatten(1)
            self.inputs.append(flat[:, :: -(-flat.shape[1] // MOST_FEATURES)].float().cpu().clone())
            self.targets.append(numbers.cpu().clone())
            self.samples += len(given)
            return

    def seen(self) -> dict[str, Any]:
        if not self.asked and not self._is_doubtful():
            return {"fits": None}
        if self.found[0] != self.samples:
            alike = {(each.shape[1], other.shape[1]) for each, other in zip(self.inputs, self.targets, strict=True)}
            found = None
            if len(alike) == 1:
                anything = self.linear or not self.whole
                found = simple_fits(torch.cat(self.inputs), torch.cat(self.targets), linear=anything)
            self.found = self.samples, found
        return {"fits": self.found[1]}

    def _is_doubtful(self) -> bool:
        """Whether the loss has hardly come down in many steps."""
        third = len(self.values) // 3
        if third < SHORTEST or not all(map(math.isfinite, self.values)):
            return False
        first, last = (statistics.median(part) for part in (self.values[:third], self.values[-third:]))
        return last > HARDLY * first > 0


def simple_fits(inputs: Tensor, targets: Tensor, *, linear: bool) -> SimpleFits | None:
    """Kernel ridge regressions of the targets, a straight one and a curved one.

    Args:
        inputs: (samples, features).
        targets: (samples, numbers); class numbers are one.
        linear: whether the targets are asked about whatever they are; else only class numbers are.
    Returns:
        None where there are too few samples, or nothing to ask.
    Source: Saunders et al. 1998, Ridge Regression Learning Algorithm in Dual Variables.
    """
    finite = inputs.isfinite().all(dim=1) & targets.isfinite().all(dim=1)
    inputs, targets = _once(inputs[finite].double(), targets[finite].double())
    if len(inputs) < FEWEST:
        return None
    count = int(FITTED * len(inputs))
    mean, deviation = inputs[:count].mean(dim=0), inputs[:count].std(dim=0, correction=0)
    inputs = (inputs - mean) / torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    kernels = _straight(inputs), _curved(inputs, count)
    # Yes or no may be fitted as a number: there is nothing between the two.
    classes = _classes(targets[:, 0], least=2 if linear else 3) if targets.shape[1] == 1 else 0
    asked = targets[count:]
    if not classes:
        if not linear or not asked.var(dim=0, correction=0).sum() > 0:
            return None
        spread = (asked - asked.mean(dim=0)).square().sum()
        left = [
            min(float((made - asked).square().sum() / spread) for made in _fitted(k, targets, count)) for k in kernels
        ]
        return SimpleFits(samples=len(asked), classes=0, constant=1.0, linear=left[0], curved=left[1])
    hot = torch.nn.functional.one_hot(targets[:, 0].long(), classes).double()
    right = [_best([made.argmax(dim=1) for made in _fitted(kernel, hot, count)], asked[:, 0]) for kernel in kernels]
    numbers = [
        made[:, 0].round().clamp(0, classes - 1) for kernel in kernels for made in _fitted(kernel, targets, count)
    ]
    rounded, chosen = _best(numbers, asked[:, 0]), max(right, key=lambda each: int(each.sum()))
    most = torch.bincount(targets[:count, 0].long(), minlength=classes).argmax()
    one, other = (right[0], right[1]) if linear else (rounded, chosen)
    return SimpleFits(
        samples=len(asked),
        classes=classes,
        constant=float((asked[:, 0] != most).double().mean()),
        linear=1 - float(right[0].double().mean()),
        curved=1 - float(right[1].double().mean()),
        rounded=1 - float(rounded.double().mean()),
        chosen=1 - float(chosen.double().mean()),
        linear_alone=int((one & ~other).sum()),
        other_alone=int((other & ~one).sum()),
    )


def _once(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Each sample once, where it came first: what was fitted is not to be asked about."""
    seen: dict[bytes, int] = {}
    for place, row in enumerate(inputs.numpy()):
        seen.setdefault(row.tobytes(), place)
    kept = torch.tensor(list(seen.values()), dtype=torch.long)
    return inputs[kept], targets[kept]


def _classes(targets: Tensor, *, least: int) -> int:
    """How many classes these are the numbers of; 0 where they are no class numbers."""
    whole = bool((targets == targets.round()).all())
    if not whole or targets.min() != 0 or not least <= targets.max() + 1 <= MOST_CLASSES:
        return 0
    classes = int(targets.max()) + 1
    return classes if len(targets.unique()) == classes else 0


def _straight(inputs: Tensor) -> Tensor:
    return inputs @ inputs.T + 1


def _curved(inputs: Tensor, count: int) -> Tensor:
    """A Gaussian of the distance, as wide as the median of the distances."""
    distances = torch.cdist(inputs, inputs).square()
    wide = distances[:count, :count].median().clamp(min=torch.finfo(torch.float64).tiny)
    return torch.exp(-distances / wide)


def _fitted(kernel: Tensor, targets: Tensor, count: int) -> list[Tensor]:
    """What ridge regressions on the first samples say of the others."""
    mean = targets[:count].mean(dim=0)
    square = kernel[:count, :count]
    ridge = square.diagonal().mean() * torch.eye(count, dtype=kernel.dtype)
    return [
        mean + kernel[count:, :count] @ torch.linalg.solve(square + share * ridge, targets[:count] - mean)
        for share in RIDGES
    ]


def _best(answers: list[Tensor], asked: Tensor) -> Tensor:
    """Which of the samples are answered rightly, by whoever answers most so."""
    return max((answer == asked for answer in answers), key=lambda right: int(right.sum()))
