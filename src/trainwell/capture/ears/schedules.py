"""Schedules of the learning rate: how often each is stepped, beside its optimizer's steps and the loader's passes."""

import contextlib
import math
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

from torch.optim import Optimizer
from torch.optim import lr_scheduler as torch_schedules
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from trainwell.capture.ear import Ear, Scene, Telling
from trainwell.capture.ears.rates import rate_of
from trainwell.capture.rates_ahead import driving_nothing, rates_ahead
from trainwell.capture.source import user_line
from trainwell.capture.syntax import is_used_again, rounds_around, turns_around
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import ScheduleSeen

MADE = ("LRScheduler", "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler")
"""Classes of torch that begin by themselves; the others begin as the first of these does."""
STEPPED = (*MADE, "CosineAnnealingWarmRestarts")
"""Classes that step by themselves."""
FAR = 4
"""Times the steps of a schedule, in which its highest rate must lie for it to count something else than it is stepped
by."""
LATER = 3
"""Steps after the first pass, before its rates are compared: a cosine is at its lowest between two passes."""
NOTHING = 1e-6
"""Share of the highest rate, at which a step moves no weight by more than rounding does."""
TURNED = 1e-6
"""Share of a rate by which it must change to count as another: a sum of many products is rounded by less."""


LIGHTNING = ("lightning.", "pytorch_lightning.")
"""Packages whose trainer has the loop over epochs."""


class Schedules(Ear):
    """Fills `schedules` and `planned`, of the steps that are heard without a gap from the first."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.schedules: dict[int, _Schedule] = {}
        self.parts: set[int] = set()
        self.optimizers: dict[int, _Stepped] = {}
        self.loaders: dict[tuple[object, ...], _Loader] = {}
        self.iterators: dict[int, _Loader] = {}
        self.current: _Loader | None = None
        self.turns = 0
        self.closed = self.over = False

    def end(self) -> None:
        """The script does not go on: its functions may be called."""
        self.over = True

    def tellings(self) -> Iterable[Telling]:
        if self.closed:
            return
        for name in MADE:
            yield Telling(getattr(torch_schedules, name), "__init__", after=self._made)
        for name in STEPPED:
            yield Telling(getattr(torch_schedules, name), "step", before=self._scheduled)
        yield Telling(DataLoader, "__iter__", after=self._begun)
        yield Telling(_BaseDataLoaderIter, "__next__", after=self._fetched)

    def stepping(self, optimizer: Optimizer) -> None:
        if not self.closed:
            if self.scene.taken == 0:
                self.turns = turns_around(sys._getframe(1))
            mine = self.optimizers.setdefault(id(optimizer), _Stepped())
            mine.look(rate_of(optimizer.param_groups[0]), self.current)

    def stepped(self, optimizer: Optimizer) -> None:
        if not self.closed:
            self.optimizers.setdefault(id(optimizer), _Stepped()).taken += 1
            if self.current is not None:
                self.current.steps += 1

    def leave(self) -> None:
        self.closed = self.closed or self.scene.taken > 0

    def seen(self) -> dict[str, Any]:
        trained = max(self.loaders.values(), key=lambda each: each.steps, default=None)
        found = [each for key, each in self.schedules.items() if key not in self.parts and not each.placed]
        return {
            "schedules": tuple(self._seen(each, trained) for each in found if self._taken(each)),
            "planned": trained.rounds * trained.steps_a_pass() if trained is not None else self.turns,
        }

    def _seen(self, schedule: "_Schedule", loader: "_Loader | None") -> ScheduleSeen:
        optimizer = self.optimizers[id(schedule.optimizer)]
        passes = 0 if loader is None else loader.begun - schedule.begun.get(id(loader), 0)
        others = [each for each in self.schedules.values() if each.optimizer is schedule.optimizer]
        a_pass, rounds = (0, 0) if loader is None else (loader.steps_a_pass(), loader.rounds)
        return ScheduleSeen(
            kind=type(schedule.schedule).__name__,
            period=schedule.period(),
            stepped=schedule.stepped,
            steps=self._taken(schedule),
            a_pass=a_pass,
            passes=passes,
            rounds=rounds,
            turned=optimizer.turned,
            left=_left(schedule.schedule, a_pass * rounds // 2 if rounds > 1 else 0),
            second=optimizer.second / optimizer.peak if optimizer.later >= LATER and optimizer.peak > 0 else math.nan,
            others=sum(each.stepped for each in others if each is not schedule),
            used=is_used_again(schedule.made_at),
            lowers=optimizer.lowers,
            idle=optimizer.idle,
            turns=schedule.turns,
            reached=self._reached(schedule),
            over=self._over(schedule),
            made_at=schedule.made_at,
            stepped_at=schedule.stepped_at,
        )

    def _reached(self, schedule: "_Schedule") -> float:
        """Share of its highest rate that it comes to as often as it is stepped; NaN: it cannot be told."""
        if not self.over or not schedule.turns or not schedule.stepped:
            return math.nan
        whole = rates_ahead(schedule.template, schedule.turns * self._taken(schedule) // schedule.stepped)
        highest = max(whole, default=0.0)
        # One that comes there a little later is meant to, and so is one that has begun to fall.
        mine = whole[: schedule.turns + 1]
        if (
            not highest > 0
            or whole.index(highest) < FAR * schedule.turns
            or max(mine) > mine[-1]
            or mine[0] >= mine[-1]
        ):
            return math.nan
        return mine[-1] / highest

    def _over(self, schedule: "_Schedule") -> float:
        """Share of its highest rate that is left after as many steps as the optimizer is to take; NaN likewise."""
        if not self.over or not schedule.turns or schedule.stepped <= self._taken(schedule):
            return math.nan
        whole = rates_ahead(schedule.template, schedule.turns * self._taken(schedule) // schedule.stepped)
        return whole[-1] / max(whole) if whole and max(whole) > 0 else math.nan

    def _taken(self, schedule: "_Schedule") -> int:
        """Steps of its optimizer since it was made."""
        optimizer = self.optimizers.get(id(schedule.optimizer))
        return 0 if optimizer is None else optimizer.taken - schedule.taken

    def _made(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        schedule = args[0]
        optimizer = self.optimizers.get(id(schedule.optimizer))
        self.parts |= {id(each) for each in getattr(schedule, "_schedulers", ())}
        self.schedules[id(schedule)] = _Schedule(
            schedule,
            made_at=user_line(),
            taken=optimizer.taken if optimizer else 0,
            begun={id(each): each.begun for each in self.loaders.values()},
        )

    def _scheduled(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        # The step that its making takes comes before it is known.
        mine = self.schedules.get(id(args[0]))
        if mine is not None and not self.closed:
            # Told where it stands, such as at a fraction of an epoch, it does not count its steps.
            at = args[1] if len(args) > 1 else options.get("epoch")
            mine.placed = mine.placed or (at is not None and type(args[0]).__name__ != "ReduceLROnPlateau")
            mine.stepped += 1
            if mine.stepped == 1:
                mine.stepped_at, mine.turns = user_line(), turns_around(sys._getframe(1))

    def _begun(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        batches = 0
        if not isinstance(args[0].dataset, IterableDataset):
            with contextlib.suppress(Exception):  # a length of the user's own may raise anything
                batches = len(args[0])
        key = (user_line(), batches)
        loader = self.loaders.get(key)
        if loader is None:
            frame = sys._getframe(1)
            loader = self.loaders[key] = _Loader(batches, rounds=rounds_around(frame), trainer=_trainer(frame))
        loader.begin()
        self.iterators[id(found)] = loader

    def _fetched(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        self.current = self.iterators.get(id(args[0]))
        if self.current is not None:
            self.current.fetched += 1


class _Schedule:
    """A schedule that was made."""

    def __init__(self, schedule: LRScheduler, *, made_at: Where, taken: int, begun: dict[int, int]) -> None:
        # Kept, so that no other takes its number.
        self.schedule, self.optimizer = schedule, schedule.optimizer
        self.made_at, self.stepped_at = made_at, Where()
        self.taken, self.begun, self.stepped, self.placed = taken, begun, 0, False
        self.template, self.turns = driving_nothing(schedule), 0

    def period(self) -> float:
        """What it was told of its length; NaN where it was told nothing."""
        passed = getattr(self.schedule, "milestones", None)
        if passed and isinstance(self.schedule, torch_schedules.MultiStepLR):
            return float(max(passed))
        names = ("T_max", "total_steps", "total_iters", "step_size")
        found = next((value for name in names if (value := getattr(self.schedule, name, None)) is not None), math.nan)
        return float(found) if isinstance(found, int | float) else math.nan


class _Stepped:
    """The rates of an optimizer's steps."""

    def __init__(self) -> None:
        self.taken, self.turned, self.later, self.idle = 0, 0, 0, 0
        self.peak, self.second = 0.0, 0.0
        self._first, self._last, self._falls = math.nan, math.nan, False

    @property
    def lowers(self) -> bool:
        """Whether the last rate is lower than the first."""
        return self._last < self._first

    def look(self, rate: float, loader: "_Loader | None") -> None:
        """At a step."""
        if loader is not None and loader.begun > 1:
            self.second, self.later = max(self.second, rate), self.later + 1
        self.peak = max(self.peak, rate)
        self.idle = self.idle + 1 if self.peak > 0 and rate <= NOTHING * self.peak else 0
        self._first = rate if math.isnan(self._first) else self._first
        if rate < self._last * (1 - TURNED):
            self._falls = True
        elif rate > self._last * (1 + TURNED):
            self.turned += self._falls
            self._falls = False
        self._last = rate


class _Loader:
    """A line that goes through a loader."""

    def __init__(self, batches: int, *, rounds: int, trainer: Any = None) -> None:
        self.batches, self._rounds, self.trainer = batches, rounds, trainer
        self.begun, self.fetched, self.steps = 0, 0, 0
        self._done, self._steps_done = 0, 0

    def begin(self) -> None:
        """A pass: the one before, if steps were taken in it, is done."""
        self.begun += 1
        if self.steps > self._steps_done:
            self._done, self._steps_done = self._done + 1, self.steps

    @property
    def rounds(self) -> int:
        """Passes that the loop around it comes to, or that a trainer of Lightning was asked for; 0: not known."""
        a_pass = self.steps_a_pass()
        if self._rounds or self.trainer is None or not a_pass:
            return self._rounds
        most = [self.trainer.max_epochs, math.ceil((self.trainer.max_steps or 0) / a_pass)]
        return min((each for each in most if each is not None and each > 0), default=0)

    def steps_a_pass(self) -> int:
        """Optimizer steps in a pass; 0 where it is not known how long one is."""
        if not self.steps:
            return 0
        if not self.batches:
            return self._steps_done // self._done if self._done else 0
        return self.batches // max(1, round(self.fetched / self.steps))


def _trainer(frame: FrameType | None) -> Any:
    """Lightning's, that a line runs within; None: it runs within none."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(LIGHTNING):
            trainer = getattr(frame.f_locals.get("self"), "trainer", None)
            if hasattr(trainer, "max_epochs") and hasattr(trainer, "max_steps"):
                return trainer
        frame = frame.f_back
    return None


def _left(schedule: Any, steps: int) -> float:
    """Share of the rate that is left after so many steps of a schedule that only lowers it; NaN for others."""
    if not steps:
        return math.nan
    if isinstance(schedule, torch_schedules.StepLR):
        return float(schedule.gamma) ** (steps // schedule.step_size)
    if isinstance(schedule, torch_schedules.MultiStepLR):
        passed = sum(count for milestone, count in schedule.milestones.items() if milestone <= steps)
        return float(schedule.gamma) ** passed
    if isinstance(schedule, torch_schedules.ExponentialLR):
        return float(schedule.gamma) ** steps
    return math.nan
