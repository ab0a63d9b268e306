"""Many output layers on the same features, trained at once as one batched computation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.record import record
from trainwell.schedules import Cosine

BETAS = (0.9, 0.99)
EPSILON = 1e-8
WARMUP = 0.1
"""Share of the steps over which the rate rises: Adam's second moments are poor before."""


@record
class HeadSetting:
    """How one head is trained.

    Attributes:
        lr: peak learning rate, > 0.
        weight_decay: share lr x weight_decay of each weight that is taken off at each step, >= 0.
        dropout: probability to DROP a feature, in [0, 1).
        label_smoothing: in [0, 1).
    """

    lr: float
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Linear output layers, all of one shape.

    Attributes:
        weight: (features, heads, classes).
        bias: (heads, classes).
    """

    weight: Float[Tensor, "features heads classes"]
    bias: Float[Tensor, "heads classes"]

    def logits(self, features: Float[Tensor, "samples features"]) -> Float[Tensor, "samples heads classes"]:
        """What every head says of every sample."""
        _, heads, classes = self.weight.shape
        found: Tensor = (features @ self.weight.flatten(1)).unflatten(1, (heads, classes)) + self.bias
        return found


def train_heads(
    features: Float[Tensor, "samples features"],
    labels: Int64[Tensor, " samples"],
    *,
    classes: int,
    settings: Sequence[HeadSetting],
    rows: Bool[Tensor, "heads samples"] | None = None,
    steps: int,
    batch_size: int | None = None,
    generator: torch.Generator,
) -> Heads:
    r"""Train a linear layer for each setting; the features pass through each matrix product once for all of them.

    Minimizes, for head h on the rows that it may see,

    .. math:: -\frac{1}{n_h} \sum_{i \in h} \sum_c q_{ic} \log \operatorname{softmax}(W_h^\top \tilde x_i + b_h)_c,
        \quad q_{ic} = (1 - \epsilon_h) [c = y_i] + \epsilon_h / C

    by AdamW with a warm-up and a cosine decay to 0, where :math:`\tilde x` are the features after dropout. All heads
    see the same batches, and the same uniform draws decide their dropout: a head is what it would be if trained alone.

    Args:
        features: of the samples; best standardized.
        labels: class of each.
        classes: how many there are.
        settings: one a head.
        rows: which samples each head may learn from; None: all. Folds of a cross-validation are heads with other rows.
        steps: optimizer steps, >= 1.
        batch_size: samples a step, the same for all heads; None: all of them.
        generator: draws batches and dropout.
    Returns:
        The heads in the order of the settings.
    Raises:
        SettingError: a setting outside its range, or a head without a row.
    Source: notes, Transfer Learning; Loshchilov and Hutter 2019 (AdamW).
    """
    _check(features, settings, rows, steps, batch_size)
    samples = len(features)
    size = samples if batch_size is None else min(batch_size, samples)
    # Heads of one dropout see the same features: one product for each probability.
    groups = [
        _Group(features, [i for i, each in enumerate(settings) if each.dropout == p], settings, rows, classes)
        for p in sorted({each.dropout for each in settings})
    ]
    rate = Cosine(peak_lr=1.0, total_steps=max(steps, 2), warmup_steps=min(round(WARMUP * steps), steps - 1))
    # A stream of its own: whether some head drops features must not move the batches of the others.
    dropped = torch.Generator(generator.device)
    dropped.manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
    order = torch.arange(samples, device=features.device)
    position = samples
    for step in range(steps):
        chosen: Tensor | slice = slice(None)
        if size < samples:
            if position + size > samples:
                order = torch.randperm(samples, generator=generator, device=generator.device).to(features.device)
                position = 0
            chosen = order[position : position + size]
            position += size
        batch, truth = features[chosen], labels[chosen]
        draws = None
        if groups[-1].dropout > 0:
            draws = torch.rand(batch.shape, dtype=batch.dtype, generator=dropped, device=generator.device)
            draws = draws.to(features.device)
        for group in groups:
            group.step(batch, truth, chosen, draws, factor=rate(step), number=step + 1)
    weight = features.new_empty(features.shape[1], len(settings), classes)
    bias = features.new_empty(len(settings), classes)
    for group in groups:
        weight[:, group.heads] = group.parameters[:-1].unflatten(1, (-1, classes))
        bias[group.heads] = group.parameters[-1].unflatten(0, (-1, classes))
    return Heads(weight=weight, bias=bias)


class _Group:
    """Heads of one dropout: their weights side by side in one matrix, the biases its last row."""

    def __init__(
        self,
        features: Tensor,
        heads: list[int],
        settings: Sequence[HeadSetting],
        rows: Tensor | None,
        classes: int,
    ) -> None:
        def column(name: str) -> Tensor:
            values = [getattr(settings[i], name) for i in heads]
            return torch.tensor(values, dtype=features.dtype, device=features.device)

        self.heads = heads
        self.dropout = settings[heads[0]].dropout
        self.classes = classes
        self.rows = None if rows is None else rows[heads].T.to(features.dtype)
        self.smoothing = column("label_smoothing")[:, None]
        self.lr = column("lr").repeat_interleave(classes)
        self.decay = column("weight_decay").repeat_interleave(classes)
        self.parameters = features.new_zeros(features.shape[1] + 1, len(heads) * classes)
        self.first, self.second = torch.zeros_like(self.parameters), torch.zeros_like(self.parameters)

    def step(
        self,
        batch: Tensor,
        truth: Tensor,
        chosen: Tensor | slice,
        draws: Tensor | None,
        *,
        factor: float,
        number: int,
    ) -> None:
        """One step of AdamW on a batch."""
        if self.dropout > 0 and draws is not None:
            batch = batch * (draws >= self.dropout) / (1.0 - self.dropout)
        logits = torch.addmm(self.parameters[-1], batch, self.parameters[:-1]).unflatten(1, (-1, self.classes))
        target = functional.one_hot(truth, self.classes).to(batch.dtype)[:, None, :]
        error = logits.softmax(dim=2) - (1.0 - self.smoothing) * target - self.smoothing / self.classes
        if self.rows is None:
            error /= len(batch)
        else:
            mask = self.rows[chosen]
            error *= (mask / mask.sum(dim=0).clamp(min=1.0))[:, :, None]
        flat = error.flatten(1)
        gradient = torch.cat([batch.T @ flat, flat.sum(dim=0, keepdim=True)])
        lr = factor * self.lr
        # Decay spares the biases.
        self.parameters[:-1] *= 1.0 - lr * self.decay
        self.first.lerp_(gradient, 1.0 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1.0 - BETAS[1])
        scale = (self.second / (1.0 - BETAS[1] ** number)).sqrt_().add_(EPSILON)
        self.parameters -= lr / (1.0 - BETAS[0] ** number) * self.first / scale


def _check(
    features: Tensor, settings: Sequence[HeadSetting], rows: Tensor | None, steps: int, batch_size: int | None
) -> None:
    problems = []
    if not settings:
        problems.append("`settings` must name at least one head, but is empty.")
    for each in settings:
        if not each.lr > 0:
            problems.append(f"`lr > 0` must hold, but got {each.lr}. Start with 0.01.")
        if not each.weight_decay >= 0:
            problems.append(f"`weight_decay >= 0` must hold, but got {each.weight_decay}. 0 turns it off.")
        if not 0 <= each.dropout < 1:
            problems.append(f"`0 <= dropout < 1` must hold, but got {each.dropout}. It is the probability to drop.")
        if not 0 <= each.label_smoothing < 1:
            problems.append(f"`0 <= label_smoothing < 1` must hold, but got {each.label_smoothing}. 0 turns it off.")
    if steps < 1:
        problems.append(f"`steps >= 1` must hold, but got {steps}. Take a hundred.")
    if batch_size is not None and batch_size < 1:
        problems.append(f"`batch_size >= 1` must hold, but got {batch_size}. None takes all samples.")
    if len(features) == 0:
        problems.append("`features` must hold samples, but there are none.")
    if rows is not None and rows.shape != (len(settings), len(features)):
        problems.append(
            f"`rows` must be (heads, samples) = {(len(settings), len(features))}, but got {tuple(rows.shape)}."
        )
    elif rows is not None and not bool(rows.any(dim=1).all()):
        problems.append("Each head must have a sample to learn from, but one has none. Take fewer folds.")
    if problems:
        raise SettingError(" ".join(dict.fromkeys(problems)))
