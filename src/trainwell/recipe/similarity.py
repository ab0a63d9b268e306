"""How like a pretrained network's pictures a run's are: a linear probe beside a new network, at equal cost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from trainwell.core.seeds import generator
from trainwell.diagnosis.leads import paired_lead
from trainwell.models.backbones import load_backbone
from trainwell.models.pretrained import Pretrained, batch_size_for, features_of
from trainwell.models.transferred import FeatureHead
from trainwell.recipe.context import Context
from trainwell.recipe.pretrained_features import FIRST_HEAD, feature_precision, some_pictures, weights_folder
from trainwell.search.heads import BATCH, STEPS
from trainwell.training.heads import train_heads
from trainwell.training.loop import StepRecord, train
from trainwell.training.observe import outputs
from trainwell.training.optimizer import build_schedule

PROBE = 0.03
"""Share of the budget for the pretrained network's pass over the pictures that it is probed on; the network from
scratch has the same again."""
UNTIMED_PROBE, UNTIMED_A_STEP, UNTIMED_PICTURES = 0.04, 8, 256
"""Where no clock is read: the same share; passes of pictures that count as an optimizer step; of a probe, at most."""
FEWEST_A_CLASS = 6
"""Pictures of a class in the probe, two of them held out: with fewer, some classes are left out of it."""
HELD_OUT = 1 / 3
"""Share of the probe's pictures that is judged on."""
TIMED_STEPS = 5
"""Of the network from scratch; the first pay for allocation and for choosing kernels."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A linear probe on fixed features and a network from scratch, on the same pictures.

    Attributes:
        probe: accuracy of the one, of 1, on pictures held out.
        scratch: of the other.
        chance: of always naming the commonest class.
        lead: how sure it is that the probe is better: standard errors of the paired difference.
        tried_on: pictures trained on.
        held_out: pictures judged on.
    """

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


class Probe:
    """A pretrained network on some of the pictures as they were prepared."""

    def __init__(self, context: Context, name: str) -> None:
        self.context = context
        self.backbone = load_backbone(name, cache=weights_folder(context))
        self.network = Pretrained(context.dataset.record.input, self.backbone).to(context.settings.device)
        self.precision = feature_precision(context, self.network)
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

    def compare(self) -> Compared | None:
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
            settings=(FIRST_HEAD,),
            steps=STEPS,
            batch_size=BATCH,
            generator=generator(context.settings.seed, "probe"),
        )
        truth = dataset.targets[held]
        probe = heads.logits(scaled[len(chosen) :])[:, 0].argmax(dim=1) == truth
        scratch = self._scratch(chosen, held, seconds=self.seconds * len(both)) == truth
        commonest = torch.bincount(dataset.targets[chosen], minlength=classes).argmax()
        wrong = [(~right).double().tolist() for right in (scratch, probe)]
        return Compared(
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

        def steps(most: int, schedule: Callable[[int], float]) -> Iterator[StepRecord]:
            return train(
                setup.model,
                setup.batches(),
                loss=setup.loss,
                optimizer=setup.optimizer(setup.model),
                schedule=schedule,
                until_step=most,
                seed=setup.seed,
                precision=setup.precision,
                device=setup.device,
            )

        most = max(int(UNTIMED_PROBE * context.clock.total), 1)
        if context.clock.reads_time:
            # At rate 0 nothing is learnt yet.
            most = max(int(seconds / _seconds_a_step(steps(TIMED_STEPS, lambda _: 0.0))), 1)
        for _ in steps(most, build_schedule(point, total_steps=most, decay_from=max(most // 2, 1))):
            pass
        found = outputs(setup.model, setup.inputs, held, precision=setup.precision, device=setup.device)
        return found.argmax(dim=1).cpu()

    def _drawn(self) -> tuple[Tensor, Tensor]:
        """Pictures of the training part, of as many classes and as many a class as the budget allows."""
        context = self.context
        most = int(min(UNTIMED_A_STEP * UNTIMED_PROBE * context.clock.total, UNTIMED_PICTURES))
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
        pictures = some_pictures(self.context)[: batch_size_for(self.context.settings.device)]
        times = []
        for _ in range(3):
            began = perf_counter()
            features_of(network, pictures, precision=self.precision)
            times.append((perf_counter() - began) / len(pictures))
        return min(times)


def _seconds_a_step(steps: Iterator[StepRecord]) -> float:
    began, times = perf_counter(), []
    for _ in steps:
        times.append(perf_counter() - began)
        began = perf_counter()
    return min(times)
