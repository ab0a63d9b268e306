"""Learning-rate schedules: pure functions of the optimizer step number, each with a linear warm-up before it.

A schedule is a frozen dataclass that is called with a step (0 is the first update) and gives that update's rate::

    s < warmup_steps        peak_lr (s + 1) / (warmup_steps + 1)
    s = warmup_steps        peak_lr
    then                    as each class says
    s >= total_steps - 1    final_lr

So rate(0) > 0 (a warm-up that starts at zero wastes its first update), the warm-up meets the schedule without a jump,
and the last update has exactly `final_lr`. Steps are optimizer steps: convert epochs once, at the edge.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from trainwell.core.errors import SettingError


@dataclass(frozen=True, kw_only=True)
class Constant:
    r"""The same rate at every step.

    .. math:: \eta_s = \eta_\text{peak}

    Args:
        peak_lr: the rate, > 0.
        total_steps: length of the training in optimizer steps; plays no part in the rate, None where it is not known.
        warmup_steps: optimizer steps of linear warm-up, >= 0 and < total_steps.
    Returns:
        Called with a step >= 0: that step's rate.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> [Constant(peak_lr=0.3, warmup_steps=2)(step) for step in (2, 3, 1000)]
        [0.3, 0.3, 0.3]

    Source: notes, Learning Rate Schedule, Constant; warm-up: Goyal et al. 2017, section 2.2.
    """

    peak_lr: float
    total_steps: int | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        _refuse(_length_problems(self.peak_lr, self.total_steps, self.warmup_steps))

    def __call__(self, step: int) -> float:
        """The rate of the update numbered `step`."""
        return self.peak_lr * warmup_factor(step, warmup_steps=self.warmup_steps)


@dataclass(frozen=True, kw_only=True)
class Step:
    r"""The rate is multiplied by a factor at given steps.

    .. math:: \eta_s = \eta_\text{peak}\, f^{\,|\{m \in \text{milestones} : m \le s\}|}

    Args:
        peak_lr: the rate after warm-up, > 0.
        total_steps: length of the training in optimizer steps, >= 1.
        warmup_steps: optimizer steps of linear warm-up, >= 0 and < total_steps.
        milestones: the first steps of each lower rate, rising, > warmup_steps; None: at 1/2 and 3/4 of total_steps.
        factor: what each milestone multiplies the rate with, in (0, 1].
    Returns:
        Called with a step >= 0: that step's rate.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> schedule = Step(peak_lr=1.0, total_steps=100, milestones=(30, 60), factor=0.5)
        >>> [schedule(step) for step in (0, 29, 30, 60, 99)]
        [1.0, 1.0, 0.5, 0.25, 0.25]

    Source: notes, Learning Rate Schedule, Step; milestones at a half and three quarters: He et al. 2016, section 4.2.
    """

    peak_lr: float
    total_steps: int
    warmup_steps: int = 0
    milestones: tuple[int, ...] | None = None
    factor: float = 0.1

    def __post_init__(self) -> None:
        problems = _length_problems(self.peak_lr, self.total_steps, self.warmup_steps)
        if not 0.0 < self.factor <= 1.0:
            problems.append(f"`0 < factor <= 1` must hold, but got {self.factor}. Choose a factor such as 0.1.")
        given = self.milestones or ()
        if any(later <= earlier for earlier, later in itertools.pairwise(given)):
            problems.append(f"`milestones` must rise, but got {given}. Sort them and name each once.")
        if any(milestone <= self.warmup_steps for milestone in given):
            problems.append(
                f"`warmup_steps < milestones` must hold, but got {self.warmup_steps} and {given}. "
                "Shorten the warm-up or drop the rate later."
            )
        _refuse(problems)

    def __call__(self, step: int) -> float:
        """The rate of the update numbered `step`."""
        drops = sum(milestone <= step for milestone in self.drops)
        return self.peak_lr * warmup_factor(step, warmup_steps=self.warmup_steps) * self.factor**drops

    @property
    def drops(self) -> tuple[int, ...]:
        """The steps at which the rate drops; a default milestone that falls into the warm-up waits for its end."""
        if self.milestones is not None:
            return self.milestones
        return tuple(max(self.total_steps * quarters // 4, self.warmup_steps + 1) for quarters in (2, 3))


@dataclass(frozen=True, kw_only=True)
class Cosine:
    r"""Half a cosine wave from the peak to the final rate.

    .. math:: \eta_s = \eta_\text{final} + \tfrac12 (\eta_\text{peak} - \eta_\text{final}) (1 + \cos \pi p), \quad
        p = \frac{s - \text{warmup}}{\text{total} - 1 - \text{warmup}}

    Args:
        peak_lr: the rate after warm-up, > 0.
        total_steps: length of the training in optimizer steps, >= 1.
        warmup_steps: optimizer steps of linear warm-up, >= 0 and < total_steps; a single step after it has the peak.
        final_lr: the rate of the last step and of all after it, in [0, peak_lr].
    Returns:
        Called with a step >= 0: that step's rate.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> schedule = Cosine(peak_lr=0.1, total_steps=101)
        >>> [round(schedule(step), 9) for step in (0, 50, 100, 200)]
        [0.1, 0.05, 0.0, 0.0]

    Source: notes, Learning Rate Schedule, Cosine; Loshchilov and Hutter 2017, eq. 5, without restarts.
    """

    peak_lr: float
    total_steps: int
    warmup_steps: int = 0
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        problems = _length_problems(self.peak_lr, self.total_steps, self.warmup_steps)
        _refuse(problems + _final_problems(self.peak_lr, self.final_lr))

    def __call__(self, step: int) -> float:
        """The rate of the update numbered `step`."""
        progress = _progress(step, first=self.warmup_steps, last=self.total_steps - 1)
        part = 0.5 * (1.0 + math.cos(math.pi * progress))
        return _between(self.peak_lr, self.final_lr, part) * warmup_factor(step, warmup_steps=self.warmup_steps)


@dataclass(frozen=True, kw_only=True)
class Linear:
    r"""A straight line from the peak to the final rate.

    .. math:: \eta_s = \eta_\text{peak} + p\, (\eta_\text{final} - \eta_\text{peak}), \quad
        p = \frac{s - \text{warmup}}{\text{total} - 1 - \text{warmup}}

    Args:
        peak_lr: the rate after warm-up, > 0.
        total_steps: length of the training in optimizer steps, >= 1.
        warmup_steps: optimizer steps of linear warm-up, >= 0 and < total_steps; a single step after it has the peak.
        final_lr: the rate of the last step and of all after it, in [0, peak_lr].
    Returns:
        Called with a step >= 0: that step's rate.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> schedule = Linear(peak_lr=1.0, total_steps=5)
        >>> [schedule(step) for step in range(6)]
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]

    Source: notes, Learning Rate Schedule, Linear; Devlin et al. 2019, appendix A.2.
    """

    peak_lr: float
    total_steps: int
    warmup_steps: int = 0
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        problems = _length_problems(self.peak_lr, self.total_steps, self.warmup_steps)
        _refuse(problems + _final_problems(self.peak_lr, self.final_lr))

    def __call__(self, step: int) -> float:
        """The rate of the update numbered `step`."""
        part = 1.0 - _progress(step, first=self.warmup_steps, last=self.total_steps - 1)
        return _between(self.peak_lr, self.final_lr, part) * warmup_factor(step, warmup_steps=self.warmup_steps)


@dataclass(frozen=True, kw_only=True)
class InverseSquareRoot:
    r"""The rate falls with the square root of the steps since warm-up, and needs no end.

    .. math:: \eta_s = \eta_\text{peak} \sqrt{\frac{k}{k + s - \text{warmup}}}

    With k = 1 and no warm-up it is the notes' peak / sqrt(t), t = s + 1; with k = warmup_steps it is the Transformer's.

    Args:
        peak_lr: the rate after warm-up, > 0.
        total_steps: length of the training in optimizer steps; plays no part in the rate, None where it is not known.
        warmup_steps: optimizer steps of linear warm-up, >= 0 and < total_steps.
        timescale_steps: k, >= 1; None: warmup_steps, but at least 1.
    Returns:
        Called with a step >= 0: that step's rate.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> schedule = InverseSquareRoot(peak_lr=1.0)
        >>> [schedule(step) for step in (0, 3, 15)]
        [1.0, 0.5, 0.25]

    Source: notes, Learning Rate Schedule, Inverted Sqrt; Vaswani et al. 2017, eq. 3.
    """

    peak_lr: float
    total_steps: int | None = None
    warmup_steps: int = 0
    timescale_steps: int | None = None

    def __post_init__(self) -> None:
        problems = _length_problems(self.peak_lr, self.total_steps, self.warmup_steps)
        if self.timescale_steps is not None and self.timescale_steps < 1:
            problems.append(
                f"`timescale_steps >= 1` must hold, but got {self.timescale_steps}. Leave it out or count steps."
            )
        _refuse(problems)

    def __call__(self, step: int) -> float:
        """The rate of the update numbered `step`."""
        scale = max(self.warmup_steps, 1) if self.timescale_steps is None else self.timescale_steps
        decay = math.sqrt(scale / (scale + max(step - self.warmup_steps, 0)))
        return self.peak_lr * decay * warmup_factor(step, warmup_steps=self.warmup_steps)


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay:
    r"""Warm-up, then the peak for as long as it pays, then a decay tail whose first step may be fixed late.

    .. math:: \eta_s = \eta_\text{peak} + d(p)\, (\eta_\text{final} - \eta_\text{peak}), \quad
        p = \frac{s - \text{tail} + 1}{\text{total} - \text{tail}}, \quad d(p) = p \text{ or } \sqrt{p}

    A training under it can be stopped and continued without knowing its end: the rates before the tail do not depend
    on where it will start. `with_tail` fixes that.

    Args:
        peak_lr: the rate after warm-up and before the tail, > 0.
        total_steps: length of the training in optimizer steps; None: not known yet, and there is no tail.
        warmup_steps: optimizer steps of linear warm-up, >= 0 and < total_steps.
        tail_start_step: the first step below the peak, in (warmup_steps, total_steps); None: the last fifth.
        final_lr: the rate of the last step and of all after it, in [0, peak_lr].
        shape: "linear", or "sqrt" for d(p) = sqrt(p), which falls fast at first.
    Returns:
        Called with a step >= 0: that step's rate.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> open_ended = WarmupStableDecay(peak_lr=1.0)
        >>> decided = open_ended.with_tail(first_step=1000, tail_steps=4)
        >>> [decided(step) for step in range(998, 1005)]
        [1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]

    Source: Hu et al. 2024 (MiniCPM), section 4; shapes and length of the tail: Hägele et al. 2024, section 3.
    """

    peak_lr: float
    total_steps: int | None = None
    warmup_steps: int = 0
    tail_start_step: int | None = None
    final_lr: float = 0.0
    shape: Literal["linear", "sqrt"] = "linear"

    def __post_init__(self) -> None:
        problems = _length_problems(self.peak_lr, self.total_steps, self.warmup_steps)
        problems += _final_problems(self.peak_lr, self.final_lr)
        if self.shape not in ("linear", "sqrt"):
            problems.append(f'`shape` must be "linear" or "sqrt", but got "{self.shape}". Choose one of them.')
        start = self.tail_start_step
        if start is not None and self.total_steps is None:
            problems.append(f"`tail_start_step` needs `total_steps`, but got {start} and None. Give both or neither.")
        elif start is not None and self.total_steps is not None and not self.warmup_steps < start < self.total_steps:
            problems.append(
                "`warmup_steps < tail_start_step < total_steps` must hold, but got "
                f"{self.warmup_steps}, {start} and {self.total_steps}. Start the tail between warm-up and end."
            )
        _refuse(problems)

    def __call__(self, step: int) -> float:
        """The rate of the update numbered `step`."""
        warm = warmup_factor(step, warmup_steps=self.warmup_steps)
        if self.total_steps is None:
            return self.peak_lr * warm
        # A tail that starts at step t lies one step below the peak there: the peak itself is at t - 1.
        progress = _progress(step, first=self._tail_start(self.total_steps) - 1, last=self.total_steps - 1)
        decay = progress if self.shape == "linear" else math.sqrt(progress)
        return _between(self.peak_lr, self.final_lr, 1.0 - decay) * warm

    def with_tail(self, *, first_step: int, tail_steps: int) -> "WarmupStableDecay":
        """The same schedule with its tail fixed: its first step, and how many steps it has until the training ends."""
        if tail_steps < 1:
            raise SettingError(f"`tail_steps >= 1` must hold, but got {tail_steps}. Give the tail some steps.")
        return dataclasses.replace(self, total_steps=first_step + tail_steps, tail_start_step=first_step)

    def _tail_start(self, total_steps: int) -> int:
        if self.tail_start_step is not None:
            return self.tail_start_step
        return max(total_steps - max(total_steps // 5, 1), self.warmup_steps + 1)


Schedule = Constant | Step | Cosine | Linear | InverseSquareRoot | WarmupStableDecay


def warmup_factor(step: int, *, warmup_steps: int) -> float:
    r"""What a linear warm-up multiplies the rate with.

    .. math:: w_s = \min\left(1, \frac{s + 1}{\text{warmup} + 1}\right)

    Args:
        step: number of the update, >= 0.
        warmup_steps: optimizer steps below the peak, >= 0.
    Returns:
        A factor in (0, 1]; it is 1 from step `warmup_steps` on.
    Raises:
        SettingError: step < 0.
    Example:
        >>> [warmup_factor(step, warmup_steps=3) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]

    Source: Goyal et al. 2017, section 2.2 ("gradual warmup").
    """
    if step < 0:
        raise SettingError(f"`step >= 0` must hold, but got {step}. Count optimizer steps from zero.")
    return min(1.0, (step + 1) / (warmup_steps + 1))


class ScheduledRates(LRScheduler):
    """A schedule as a torch `LRScheduler`; made by `as_lr_scheduler`, which says how it behaves."""

    def __init__(self, schedule: Callable[[int], float], optimizer: Optimizer) -> None:
        self.schedule = schedule
        peaks = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
        if not all(peak >= 0.0 for peak in peaks) or max(peaks) <= 0.0:
            raise SettingError(
                f"The optimizer's rates must be >= 0 and one of them > 0, but got {peaks}. "
                "Build the optimizer with the rate that its fastest group is to have at the peak."
            )
        self.scales = [peak / max(peaks) for peak in peaks]
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The rate of each parameter group at the present step."""
        rate = self.schedule(self.last_epoch)
        return [rate * scale for scale in self.scales]

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers only: the schedule is settings, and its owner keeps it."""
        return {"last_epoch": self.last_epoch, "step_count": self._step_count, "scales": list(self.scales)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the saved step, and set the optimizer's rates to it in whichever order the two are loaded."""
        self.scales = list(state_dict["scales"])
        self._step_count = state_dict["step_count"]
        self.last_epoch = state_dict["last_epoch"] - 1
        self._update_lr()


def as_lr_scheduler(schedule: Callable[[int], float], optimizer: Optimizer) -> LRScheduler:
    """A schedule as torch's training loops, Lightning and others expect it.

    The schedule sets the rate of the group with the largest rate; the other groups keep their ratio to it.

    Args:
        schedule: step number -> rate; any of SCHEDULES, or a function.
        optimizer: built with its groups' rates in the ratio they shall keep.
    Returns:
        An `LRScheduler`; call its `step()` after each optimizer step. Its state is plain numbers; loading it sets
        the optimizer's rates.
    Raises:
        SettingError: no group has a rate above zero, or one is below zero.
    Example:
        >>> import torch
        >>> weight, bias = torch.nn.Linear(1, 1).parameters()
        >>> optimizer = torch.optim.SGD([{"params": [weight], "lr": 0.2}, {"params": [bias], "lr": 0.1}])
        >>> scheduler = as_lr_scheduler(Linear(peak_lr=1.0, total_steps=3), optimizer)
        >>> scheduler.get_last_lr()
        [1.0, 0.5]
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5, 0.25]

    Source: torch.optim.lr_scheduler.LRScheduler.
    """
    return ScheduledRates(schedule, optimizer)


def _progress(step: int, *, first: int, last: int) -> float:
    if last <= first:
        return 0.0
    return min(max((step - first) / (last - first), 0.0), 1.0)


def _between(peak: float, final: float, part: float) -> float:
    # In this form part 1 gives the peak and part 0 the final rate without rounding.
    return peak * part + final * (1.0 - part)


def _length_problems(peak_lr: float, total_steps: int | None, warmup_steps: int) -> list[str]:
    problems = []
    if not 0.0 < peak_lr < math.inf:
        problems.append(f"`0 < peak_lr < inf` must hold, but got {peak_lr}. Give a learning rate such as 0.1.")
    if warmup_steps < 0:
        problems.append(f"`warmup_steps >= 0` must hold, but got {warmup_steps}. Use 0 for no warm-up.")
    if total_steps is not None and total_steps < 1:
        problems.append(f"`total_steps >= 1` must hold, but got {total_steps}. Count the training's optimizer steps.")
    elif total_steps is not None and warmup_steps >= total_steps:
        problems.append(
            f"`warmup_steps < total_steps` must hold, but got {warmup_steps} and {total_steps}. "
            "Shorten the warm-up or train longer."
        )
    return problems


def _final_problems(peak_lr: float, final_lr: float) -> list[str]:
    if 0.0 <= final_lr <= peak_lr:
        return []
    return [f"`0 <= final_lr <= peak_lr` must hold, but got {final_lr} and {peak_lr}. Use 0 to decay to nothing."]


def _refuse(problems: Iterable[str]) -> None:
    message = " ".join(problems)
    if message:
        raise SettingError(message)


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "linear": Linear,
    "inverse_sqrt": InverseSquareRoot,
    "warmup_stable_decay": WarmupStableDecay,
}
"""Name -> class. Each takes `peak_lr`, `total_steps` and `warmup_steps`."""
