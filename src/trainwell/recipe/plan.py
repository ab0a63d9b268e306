"""How the budget is shared out: in optimizer steps, from measured seconds a step.

Whatever is planned from a clock is written to the store first, so that a resumed run plans the same.
"""

import math
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.record import record
from trainwell.core.records.trial import Precision
from trainwell.core.seeds import derive_seed
from trainwell.recipe.context import Context
from trainwell.search.halving import Rungs
from trainwell.search.rung import MEASUREMENTS
from trainwell.training.loop import train
from trainwell.training.observe import EVALUATION_BATCH, evaluate

PROBES = 0.06
"""Share of the budget for each of the steps 2 and 3, at most."""
END = 0.04
"""Share kept back for the test part, the model and the report."""
END_SECONDS = 4.0
"""Seconds kept back for them at least."""
COARSE_EPOCHS = 5.0
"""The notes train 1 to 5 epochs for the coarse grid."""
REFINED_EPOCHS = 20.0
"""And 10 to 20 for the refined one."""
KINDS_LENGTH = 0.18
"""Kinds of network are compared at this share of the kept training's length at least.

Measured on development splits 104 to 107 of three tables, 6,000 training rows and 40 epochs each: after 2.5 and 5
epochs the weakly regularized kind led the other by 0.008 to 0.022 of R² on loans, where it ends 0.01 to 0.02 below it,
and by 0.004 to 0.017 of accuracy on storms, where it ends 0.03 to 0.04 above. From 180 of 1,040 steps on, losses sample
by sample tell the two apart: `diagnosis.leads.KIND`.
"""
LEAST_STEPS = 20
"""A training shorter than this many optimizer steps says nothing."""
FEWEST_STEPS = 5
"""Where the budget allows no grid, one training this long stands in for it."""
MEASURING_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of the budget.

    Attributes:
        coarse: for step 4.
        refined: for each visit of step 5.
        kept: what the training which is kept has at least.
    """

    coarse: float
    refined: float
    kept: float


ONE_KIND = Shares(coarse=0.12, refined=0.14, kept=0.55)
SEVERAL_KINDS = Shares(coarse=0.02, refined=0.12, kept=0.45)
"""Which kind of network it is decides more than rates do, and more than the last third of its training."""


def shares(context: Context) -> Shares:
    """How the budget is shared out among the grids and the training that is kept."""
    return SEVERAL_KINDS if len(context.known) > 1 else ONE_KIND


@record
class GridPlan:
    """How a grid is trained.

    Attributes:
        points: how many trainings.
        total_steps: length of those that go on to the end.
        whole: whether that is the length of the kept training, so that the length itself can be judged.
        halved: whether a third of it says enough to stop most of them there.
    """

    points: int
    total_steps: int
    whole: bool
    halved: bool = True

    @property
    def rungs(self) -> Rungs:
        """Where trainings are compared: a third goes on after a third of the length."""
        if not self.halved or self.points <= 2 or self.total_steps < 2 * LEAST_STEPS:
            return Rungs()
        return Rungs(shares=(1 / 3, 1.0), keep=(max(-(-self.points // 3), 2),))


def small_sample_steps(context: Context, *, rates: int) -> tuple[int, int, int]:
    """Step 2's optimizer steps for each rate, how many rates it may try, and steps for the best of them to go on.

    Half of the share is for trying, the other half for going on; three times as long as it was tried is enough.
    """
    affordable = PROBES * context.clock.total / step_cost(context, context.point)
    steps = int(min(1000, max(affordable / 4, 2 * LEAST_STEPS)))
    tries = min(max(int(affordable // (2 * steps)), 1), rates)
    return steps, tries, min(max(int(affordable) - tries * steps, 0), 3 * steps)


def sweep_steps(context: Context) -> tuple[int, int]:
    """Optimizer steps of step 3's sweep, and of each of its short runs: 300 and 100 where the budget allows.

    An output layer on fixed features gets a third: step 4 tries its rates all over.
    """
    share = PROBES * context.clock.total / step_cost(context, context.point)
    most = 33 if context.is_frozen(context.point) else 100
    short = int(min(most, max(share / 6, LEAST_STEPS / 2)))
    return 3 * short, short


def step_cost(context: Context, point: Hyperparameters) -> float:
    """What one optimizer step costs in the budget's unit: measured seconds, measuring passes included; or 1 step.

    Measured once for each network, batch size and augmentation.
    """
    if not context.clock.reads_time:
        return 1.0
    shape = (point.architecture, point.activation, point.optimization.batch_size, point.augmentation, point.transfer)
    name = f"speed/{derive_seed(0, *map(str, shape)):x}"
    return context.study.once(
        name,
        float,
        lambda: seconds_per_step(context, point, context.settings.precision),
        text="one optimizer step of " + point.architecture.name + " takes {value} seconds",
        why="budgets are planned in measured seconds a step",
    )


def seconds_per_step(context: Context, point: Hyperparameters, precision: Precision) -> float:
    """Seconds of one optimizer step, its part of the measuring passes included."""
    setup = replace(context.rebuild(point).setup, precision=precision)
    seconds: list[float] = []
    began = before = perf_counter()
    for _ in train(
        setup.model,
        setup.batches(),
        loss=setup.loss,
        optimizer=setup.optimizer(setup.model),
        schedule=lambda _: 0.0,
        until_step=60,
        seed=0,
        precision=precision,
        device=setup.device,
    ):
        now = perf_counter()
        seconds.append(now - before)
        before = now
        if now - began > MEASURING_SECONDS and len(seconds) >= 4:
            break
    # The first steps pay for allocation and for choosing kernels.
    step = median(seconds[2:] or seconds)
    index = setup.validation[:EVALUATION_BATCH]
    if not len(index):
        return step
    began = perf_counter()
    evaluate(setup.model, setup.inputs, setup.targets, index, setup.output, precision=precision, device=setup.device)
    sample = (perf_counter() - began) / len(index)
    return step + 2 * len(setup.validation) * sample / context.steps_per_epoch(point)


def affordable_steps(context: Context, point: Hyperparameters, *, name: str, share: float, wanted: float = 0.0) -> int:
    """Optimizer steps that a share of the budget buys, and never what the kept training needs.

    Written down, since it reads what is left.

    Args:
        context: of the run.
        point: whose steps are measured.
        name: under which they are written down.
        share: of the budget.
        wanted: steps without which nothing can be said: up to half of what is left goes into them.
    """
    cost = step_cost(context, point)

    def compute() -> int:
        reserve = end_reserve(context)
        kept = shares(context).kept * max(context.clock.total - reserve, 0.0)
        left = max(context.clock.left() - reserve, 0.0)
        free = max(left - kept, 0.0)
        return int(max(min(share * context.clock.total, free), min(wanted * cost, left / 2)) / cost)

    return context.study.once(name, int, compute)


def end_reserve(context: Context) -> float:
    """What is kept back for the end, in the budget's unit."""
    return max(END * context.clock.total, END_SECONDS) if context.clock.reads_time else 0.0


def plan_grid(
    context: Context,
    point: Hyperparameters,
    *,
    name: str,
    share: float,
    most_points: int,
    most_epochs: float,
    kinds: bool = False,
) -> GridPlan:
    """As many points as wanted, each as long as the share of the budget allows; fewer where they get too short.

    Args:
        context: of the run.
        point: whose steps are measured.
        name: under which the steps are written down.
        share: of the budget.
        most_points: as many as are wanted, >= 1.
        most_epochs: longer trainings are of no use.
        kinds: whether points differ in kind; then none is stopped or compared before `KINDS_LENGTH`.
    """
    epoch = context.steps_per_epoch(point)
    least_of_kinds = KINDS_LENGTH * context.epochs * epoch if kinds else 0.0
    steps = affordable_steps(context, point, name=name, share=share, wanted=2 * least_of_kinds)
    longest = max(int(most_epochs * epoch), LEAST_STEPS)
    if steps < 2 * LEAST_STEPS:
        return GridPlan(points=1, total_steps=max(min(steps, LEAST_STEPS), FEWEST_STEPS), whole=False)
    least = min(least_of_kinds or epoch, longest)
    if kinds:
        least *= 3  # so that the first rung tells them apart
    # Halving keeps a third after a third of the length: n L / 3 + n / 3 x 2 L / 3 steps in all.
    lengths = {points: int(steps / (points * 5 / 9)) for points in range(max(most_points, 3), 2, -1)}
    points = next((points for points, length in lengths.items() if length >= least), 2 if kinds else 3)
    halved = points > 2
    length = lengths[points] if halved else steps // 2
    length = min(max(length, LEAST_STEPS), longest)
    return GridPlan(points=points, total_steps=length, whole=length >= int(context.epochs * epoch), halved=halved)


def kept_steps(context: Context, point: Hyperparameters, *, whole: bool) -> int:
    """Length of the kept training: what is left buys it, and more epochs than are of use are not taken."""
    cost = step_cost(context, point)

    def compute() -> int:
        left = context.clock.left() - end_reserve(context)
        return int(max(left / cost, LEAST_STEPS))

    most = math.ceil(context.epochs * context.steps_per_epoch(point, whole=whole))
    if context.is_frozen(point):
        return most  # an output layer alone is trained in a second, whatever the budget says
    # The recorded number may exceed the useful one: then the budget is not used up, and the run ends earlier.
    return max(min(context.study.once("plan/kept", int, compute), most), LEAST_STEPS)


def measured_epochs(total_steps: int, steps_per_epoch: int) -> float:
    """Epochs between two measurements of a training."""
    return max(math.ceil(total_steps / steps_per_epoch / MEASUREMENTS), 1)
