"""The unit of work, of checkpointing and of promotion: a training from one optimizer step to another."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from trainwell.core.files import append_durably
from trainwell.core.jsonio import to_json
from trainwell.core.protocols import Progress, Silent
from trainwell.core.records.trial import Metrics, Score, TrialSpec
from trainwell.core.seeds import generator
from trainwell.search.rebuild import Factory, rebuild
from trainwell.training.averaging import Averaging
from trainwell.training.loop import train
from trainwell.training.observe import evaluate
from trainwell.training.optimizer import build_schedule
from trainwell.training.setup import Setup
from trainwell.training.state import load_state, save_state

MEASUREMENTS = 30
"""A training is measured at most about so often: reading a curve needs no more, and each costs a validation pass."""


@dataclass(frozen=True, kw_only=True)
class RungResult:
    """What a rung leaves.

    Attributes:
        checkpoint: the state, or None where the training diverged.
        sha256: of that file.
        metrics: one a measurement, the last one after the last step.
        metrics_length: bytes of the metrics file.
        diverged: the loss became NaN or infinite.
    """

    checkpoint: Path | None
    sha256: str
    metrics: tuple[Metrics, ...]
    metrics_length: int
    diverged: bool


def measured_at(spec: TrialSpec, steps_per_epoch: int) -> Callable[[int], bool]:
    """Which steps a training is measured at: ends of epochs, thinned out where there are many."""
    every = steps_per_epoch * max(math.ceil(spec.total_steps / steps_per_epoch / MEASUREMENTS), 1)
    # A training shorter than a few epochs is read several times within one.
    every = min(every, max(spec.total_steps // 5, 1))
    return lambda step: step % every == 0 or step == spec.total_steps


def rung(
    spec: TrialSpec,
    state: Path | None,
    until_step: int,
    *,
    to: Path,
    metrics_file: Path,
    total_steps: int | None = None,
    decay_from: int | None = None,
    factory: Factory | None = None,
    read_clock: bool = True,
    progress: Progress | None = None,
) -> RungResult:
    """Train from a state until a step. Nothing but the arguments decides what comes out.

    Args:
        spec: what is trained.
        state: checkpoint to go on from; None begins.
        until_step: optimizer steps taken after.
        to: where the new checkpoint is written.
        metrics_file: JSON-lines file that measurements are appended to.
        total_steps: length of the training, where an event has changed it.
        decay_from: first step of the tail, where an event has fixed it.
        factory: of a network that exists only in Python.
        read_clock: whether seconds are measured.
        progress: told at each measurement.
    Returns:
        Checkpoint and measurements.
    """
    progress = progress or Silent()
    torch.set_num_threads(spec.threads)
    rebuilt = rebuild(spec, factory=factory)
    setup = rebuilt.setup
    model = setup.model
    optimizer = setup.optimizer(model)
    share = spec.hyperparameters.optimization.averaging
    averaging = Averaging(model, horizon=max(round(share * spec.total_steps), 1)) if share > 0 else None
    start = load_state(state, model=model, optimizer=optimizer, averaging=averaging) if state else 0
    batches = setup.batches()
    schedule = build_schedule(
        spec.hyperparameters, total_steps=total_steps or spec.total_steps, decay_from=decay_from or spec.decay_from
    )
    wanted = measured_at(spec, batches.steps_per_epoch)
    lines: list[Metrics] = []
    length = metrics_file.stat().st_size if metrics_file.exists() else 0
    loss_sum = torch.zeros((), device=spec.device)
    count = 0
    began = perf_counter() if read_clock else 0.0
    last_loss = 0.0
    for record in train(
        model,
        batches,
        loss=setup.loss,
        optimizer=optimizer,
        schedule=schedule,
        start_step=start,
        until_step=until_step,
        seed=spec.seed,
        precision=spec.precision,
        device=spec.device,
        clip=spec.hyperparameters.optimization.clip,
        averaging=averaging,
    ):
        loss_sum += record.loss
        count += 1
        if not (wanted(record.step) or record.step == until_step):
            continue
        last_loss = (loss_sum / count).item()
        seconds = perf_counter() - began if read_clock else 0.0
        line = Metrics(
            step=record.step,
            epoch=record.step / batches.steps_per_epoch,
            lr=record.lr,
            train_loss=last_loss,
            seconds=seconds,
        )
        if math.isfinite(last_loss):
            line = _with_scores(line, setup, averaged(model, averaging), spec)
        lines.append(line)
        numbers: dict[str, float] = {
            "trial": spec.number,
            "step": record.step,
            "total_steps": total_steps or spec.total_steps,
        }
        numbers |= {"epoch": line.epoch, "loss": last_loss, "lr": record.lr}
        if line.validation is not None:
            numbers["validation"] = line.validation.metric
        progress.update("training", numbers)
        if not math.isfinite(last_loss):
            break
        loss_sum.zero_()
        count = 0
        began = perf_counter() if read_clock else 0.0
    diverged = bool(lines) and not math.isfinite(last_loss)
    if lines:
        length = append_durably(metrics_file, "".join(to_json(line) + "\n" for line in lines).encode())
    sha256 = "" if diverged else save_state(to, model=model, optimizer=optimizer, averaging=averaging, step=until_step)
    return RungResult(
        checkpoint=None if diverged else to,
        sha256=sha256,
        metrics=tuple(lines),
        metrics_length=length,
        diverged=diverged,
    )


def averaged(model: nn.Module, averaging: Averaging | None) -> nn.Module:
    """The network that is judged: a copy with the averaged weights, or the model itself."""
    if averaging is None:
        return model
    judged = copy.deepcopy(model)
    judged.load_state_dict(averaging.tensors)
    return judged


def _with_scores(line: Metrics, setup: Setup, model: nn.Module, spec: TrialSpec) -> Metrics:
    few = setup.train
    if len(few) > len(setup.validation) > 0:
        order = torch.randperm(len(few), generator=generator(0, "few"))
        few = few[order[: len(setup.validation)].sort().values]

    def scored(index: Tensor) -> Score:
        return evaluate(
            model,
            setup.inputs,
            setup.targets,
            index,
            setup.output,
            precision=spec.precision,
            device=spec.device,
        )

    unseen = "validation" not in spec.parts and len(setup.validation) > 0
    return replace(line, train=scored(few), validation=scored(setup.validation) if unseen else None)
