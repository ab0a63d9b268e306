"""What the steps know: everything that one visit of a step hands to the next."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from trainwell.core.files import write_atomically, writing
from trainwell.core.jsonio import to_json
from trainwell.core.protocols import Progress
from trainwell.core.records.evidence import Evidence, Next, Yardstick
from trainwell.core.records.finding import Finding
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.observation import Observation
from trainwell.core.records.run import Settings
from trainwell.core.records.trial import HeldOut, TrialSpec
from trainwell.core.seeds import derive_seed
from trainwell.data.dataset import Dataset
from trainwell.diagnosis.diagnose import diagnose
from trainwell.models.backbones import is_backbone
from trainwell.recipe.clock import Clock
from trainwell.search.rebuild import Rebuilt, rebuild
from trainwell.search.trials import Trials
from trainwell.store.folder import RunFolder
from trainwell.store.study import Study

NAMES = (
    "look",
    "initial-loss",
    "small-sample",
    "find-lr",
    "coarse-grid",
    "refined-grid",
    "learning-curves",
    "next",
)
"""The steps by number."""


@dataclass(kw_only=True)
class Context:
    """One run on its way.

    Attributes:
        folder: of the run.
        study: its store.
        trials: does the training.
        dataset: prepared.
        settings: asked and measured.
        clock: what has been spent.
        progress: who is told.
        evidence: left so far, in order.
        point: the best hyperparameters known.
        known: where the recipe may begin, the likeliest first.
        epochs: how long a training of the kept kind should be.
        yardsticks: of step 0.
        model_sha256: of the user's model file, or empty.
        tried: points that were trained so far.
        length_judged: whether the last grid trained as long as the kept training will be.
        given: what the finished network takes, and pictures are shown from; another than `dataset` where a pretrained
            network's features are trained on.
        derived: those features by the stages that are trained above them; empty where there are none.
        prepared: the data as a network from scratch takes it, beside those features too.
        enlarge: the same data with pictures of at most so many pixels a side; None where that cannot be had.
    """

    folder: RunFolder
    study: Study
    trials: Trials
    dataset: Dataset
    settings: Settings
    clock: Clock
    progress: Progress
    point: Hyperparameters
    known: tuple[Hyperparameters, ...]
    epochs: float
    evidence: list[Evidence] = field(default_factory=list)
    yardsticks: tuple[Yardstick, ...] = ()
    model_sha256: str = ""
    tried: set[Hyperparameters] = field(default_factory=set)
    length_judged: bool = False
    given: Dataset
    prepared: Dataset
    derived: dict[int, Dataset] = field(default_factory=dict)
    enlarge: Callable[[int], Dataset] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def leave(self, step: int, compute: Callable[[int], Evidence]) -> Evidence:
        """Visit a step once in the life of the run and keep what it leaves.

        Args:
            step: 0 to 7.
            compute: visit -> Evidence; its seconds, those since the visit before, are filled in here.
        Returns:
            The evidence, as written.
        """
        visit = 1 + sum(each.step == step for each in self.evidence)
        name = NAMES[step]
        self.progress.step(step, name, visit)

        key = f"evidence/{step}/{visit}"
        if not self.study.known(key):
            made = compute(visit)
            # All since the visit before: what a step trains lies before what it leaves.
            before = sum(each.seconds for each in self.evidence)
            made = replace(made, seconds=max(self.clock.elapsed() - before, 0.0))
            self.study.write(key, made, text=made.verdict, why=_why(made))
        evidence = self.study.read(key, Evidence)
        folder = self.folder.step(step, name)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"visit-{visit}.json", to_json(evidence, indent=1).encode())
        self.evidence.append(evidence)
        self.clock.steps += round(evidence.numbers.get("optimizer steps", 0))
        self.progress.verdict(step, evidence.passed, evidence.verdict)
        return evidence

    def spec(
        self,
        point: Hyperparameters,
        *,
        total_steps: int,
        decay_from: int | None = None,
        seed: int | None = None,
        whole: bool = False,
        held_out: HeldOut | None = None,
    ) -> TrialSpec:
        """A training at a point, with the next trial number.

        Args:
            point: its hyperparameters.
            total_steps: its length.
            decay_from: first step of its tail; None for none.
            seed: None for the run's.
            whole: train on validation too.
            held_out: a fold of the training and validation parts: the rest of both is trained on.
        """
        self.tried.add(point)
        spec = self._spec(next(self._numbers), point, total_steps, decay_from, seed, whole)
        return replace(spec, held_out=held_out)

    def rebuild(self, point: Hyperparameters, *, total_steps: int = 1000) -> Rebuilt:
        """The untouched training at a point, for probes: it gets no number and no place in the store."""
        return rebuild(self._spec(-1, point, total_steps, None, None, False), factory=self.trials.factory)

    def _spec(
        self,
        number: int,
        point: Hyperparameters,
        total_steps: int,
        decay_from: int | None,
        seed: int | None,
        whole: bool,
    ) -> TrialSpec:
        dataset = self.dataset_of(point)
        return TrialSpec(
            number=number,
            data=str(dataset.folder),
            fingerprint=dataset.record.fingerprint,
            hyperparameters=point,
            total_steps=total_steps,
            decay_from=total_steps if decay_from is None else decay_from,
            seed=derive_seed(self.settings.seed, "trial") if seed is None else seed,
            threads=self.settings.threads,
            # An output layer is little work: rounding it saves nothing.
            precision="float32" if self.is_frozen(point) else self.settings.precision,
            device=self.settings.device,
            parts=("train", "validation") if whole else ("train",),
            model_sha256=self.model_sha256,
        )

    def dataset_of(self, point: Hyperparameters) -> Dataset:
        """What a training at a point is given: features for a pretrained network, where the run has some."""
        if not self.derived:
            return self.dataset
        if not is_backbone(point.architecture.name):
            return self.prepared
        return self.derived[point.transfer.tuned_stages]

    def is_frozen(self, point: Hyperparameters) -> bool:
        """Whether a training at a point trains nothing but an output layer on a pretrained network's features."""
        return bool(self.derived) and is_backbone(point.architecture.name) and not point.transfer.tuned_stages

    def find(self, **sections: object) -> tuple[Finding, ...]:
        """What the rules say of some sections: the recipe has no threshold of its own."""
        return diagnose(Observation(**sections)).findings  # type: ignore[arg-type]  # sections by name

    def steps_per_epoch(self, point: Hyperparameters, *, whole: bool = False) -> int:
        """Optimizer steps of one pass over what is trained on."""
        sizes = self.dataset.record.sizes
        samples = sizes["train"] + (sizes["validation"] if whole else 0)
        return max(samples // min(point.optimization.batch_size, samples), 1)


def _why(evidence: Evidence) -> str:
    """The reasons behind what a step decided: those of step 7's choices, else the findings."""
    choices = [choice for detail in evidence.detail if isinstance(detail, Next) for choice in detail.choices]
    reasons = [choice.why for choice in choices] or [finding.message for finding in serious(evidence.findings)]
    return " ".join(dict.fromkeys(reason for reason in reasons if reason))


def serious(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings above info: those that keep a step from passing."""
    return tuple(finding for finding in findings if finding.severity != "info")
