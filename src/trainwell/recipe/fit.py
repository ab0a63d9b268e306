"""fit: labelled data in, a well-trained network out, by the seven steps."""

import contextlib
import datetime
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainwell.core.errors import ResumeError, SettingError, suggestion
from trainwell.core.files import write_atomically, writing
from trainwell.core.jsonio import from_json, to_json
from trainwell.core.protocols import Progress, Silent
from trainwell.core.records.run import Budget, Result, RunRecord, Settings
from trainwell.core.records.trial import Precision
from trainwell.data.dataset import Dataset
from trainwell.data.prepare import prepare
from trainwell.data.raw import shown_path
from trainwell.models.backbones import BACKBONES, is_backbone
from trainwell.models.build import MODELS
from trainwell.models.defaults import Start
from trainwell.models.userfile import file_sha256, is_user_file
from trainwell.recipe.clock import Clock
from trainwell.recipe.context import Context
from trainwell.recipe.machine import hardware, resolve_device, versions
from trainwell.recipe.predict import Predictor
from trainwell.recipe.read_run import read_run
from trainwell.recipe.starting_point import choose_precision, starting_point
from trainwell.recipe.steps import take_steps
from trainwell.search.trials import Trials
from trainwell.store.folder import (
    RunFolder,
    abandon,
    check_name,
    create_run,
    find_run,
    free_name,
    furnish,
    locked,
)
from trainwell.store.study import Study, sqlite_url

IN_MEMORY = "data in memory"


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What `fit` returns.

    Attributes:
        folder: of the run.
        record: everything that was measured.
        result: what `result.json` holds.
        model: the finished network with its decoding: `model.predict(...)`.
    """

    folder: Path
    record: RunRecord
    result: Result
    model: Predictor


def fit(
    data: Any,
    *,
    target: str | tuple[str, ...] = (),
    test: Any = None,
    validation: Any = None,
    name: str | None = None,
    runs: Path | str = "runs",
    budget_seconds: float | None = None,
    budget_steps: int | None = None,
    seed: int = 0,
    model: str | Callable[[], nn.Module] = "auto",
    device: str = "auto",
    progress: Progress | None = None,
    on_folder: Callable[[Path], None] | None = None,
) -> FitResult:
    """Carry out the recipe on labelled data.

    Args:
        data: a folder, a file, a built-in name; or arrays, a DataFrame, a torch Dataset.
        target: columns of a table to be predicted.
        test: data of its own for the test part.
        validation: data of its own for validation.
        name: of the run; None for the data's name and a number.
        runs: folder of runs.
        budget_seconds: how long it may take, > 0; 300 where neither budget is given.
        budget_steps: optimizer steps it may take instead; then no clock is read.
        seed: of everything, >= 0.
        model: auto, a name, file.py:function, or a function that builds one.
        device: auto, cpu, cuda, mps.
        progress: is told how it goes on.
        on_folder: is told the run's folder once a run there can be resumed.
    Returns:
        Model, records and where they lie.
    Raises:
        SettingError: an argument is outside its range.
        DataError: the data cannot be used.
        ModelError: the model cannot be used.
        StoreError: the folder cannot be written.
    Source: notes, Choosing Hyperparameters.
    """
    budget = _budget(budget_seconds, budget_steps)
    _check_settings(seed=seed, model=model)
    progress = progress or Silent()
    runs = Path(runs)
    if name is not None:
        check_name(name)
    if name is not None and (runs / name / "settings.json").exists():
        create_run(runs, name)
    resolved = resolve_device(device)
    clock = Clock(budget)
    with writing(runs):
        runs.mkdir(parents=True, exist_ok=True)
    prepared = functools.partial(
        prepare,
        data,
        target=target,
        seed=seed,
        cache=runs / ".cache",
        test=test,
        validation=validation,
        progress=progress,
    )
    dataset = prepared()
    factory = None if isinstance(model, str) else model
    model_name = model if isinstance(model, str) else f"python:{getattr(model, '__name__', 'model')}"
    sha256 = file_sha256(model_name) if is_user_file(model_name) else ""
    start = starting_point(dataset.record, model=model_name, budget=budget, factory=factory, sha256=sha256)
    threads = torch.get_num_threads()
    folder = create_run(runs, name or free_name(runs, Path(dataset.record.source).stem))
    with locked(folder), _begun_or_gone(folder):
        furnish(folder)
        settings = Settings(
            # A copy of known data is found under the name it was first read by.
            data=shown_path(data) if isinstance(data, str | Path) else dataset.record.source,
            target=(target,) if isinstance(target, str) else tuple(target),
            budget=budget,
            seed=seed,
            model=model_name,
            device=resolved,
            threads=threads,
            precision="float32",
            hardware=hardware(resolved),
            versions=versions(),
            model_sha256=sha256,
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        study = Study(sqlite_url(folder.study), folder.name, elapsed=clock.elapsed)
        precision: Precision = "float32"
        if clock.reads_time and not is_backbone(model_name):
            precision = choose_precision(dataset, start.points[0], device=resolved, threads=threads, factory=factory)
        settings = replace(settings, precision=precision)
        _write_start(folder, settings, dataset)
        if on_folder is not None:
            on_folder(folder.path)
        return _run(folder, study, settings, dataset, start, clock, progress, factory, sha256, prepared)


def resume(
    name: str,
    data: Any = None,
    *,
    target: str | tuple[str, ...] = (),
    test: Any = None,
    validation: Any = None,
    runs: Path | str = "runs",
    allow_drift: bool = False,
    model: Callable[[], nn.Module] | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Go on with a run that was interrupted: the same trials, the same decisions, the same weights.

    Args:
        name: the run's name under `runs`, or its folder.
        data: given again only where it was no path or name; it must not have changed.
        target: likewise.
        test: likewise.
        validation: likewise.
        runs: folder of runs.
        allow_drift: go on although this machine has other threads than were recorded.
        model: the function that builds the network, where one was given.
        progress: is told how it goes on.
    Raises:
        ResumeError: data, model or machine have changed.
    """
    progress = progress or Silent()
    runs = Path(runs)
    folder = find_run(runs, name)
    with locked(folder):
        settings = from_json(Settings, (folder.path / "settings.json").read_bytes())
        _check_threads(settings, allow_drift=allow_drift)
        if data is None and settings.data == IN_MEMORY:
            raise ResumeError(f"The run {folder.name} was given {IN_MEMORY}: give the same data again.")
        source = settings.data if data is None else data
        wanted = target or settings.target
        prepared = functools.partial(
            prepare,
            source,
            target=wanted,
            seed=settings.seed,
            cache=folder.path.parent / ".cache",
            test=test,
            validation=validation,
            progress=progress,
        )
        dataset = prepared()
        before = from_json(type(dataset.record), (folder.path / "data.json").read_bytes())
        if before.fingerprint != dataset.record.fingerprint:
            raise ResumeError(
                f"A run goes on with the data it began with, but {settings.data} has changed since "
                f"({dataset.record.fingerprint[:12]} instead of {before.fingerprint[:12]}). "
                "Restore the data, or start a new run."
            )
        if settings.model.startswith("python:") and model is None:
            raise ResumeError(f"The run trains {settings.model}: give the function again as `model`.")
        sha256 = _recorded_model_hash(settings)
        torch.set_num_threads(settings.threads)
        clock = Clock(settings.budget)
        study = Study(sqlite_url(folder.study), folder.name, elapsed=lambda: clock.elapsed())
        clock.carried = study.elapsed
        start = starting_point(
            dataset.record, model=settings.model, budget=settings.budget, factory=model, sha256=sha256
        )
        return _run(folder, study, settings, dataset, start, clock, progress, model, sha256, prepared)


def _run(
    folder: RunFolder,
    study: Study,
    settings: Settings,
    dataset: Dataset,
    start: Start,
    clock: Clock,
    progress: Progress,
    factory: Callable[[], nn.Module] | None,
    sha256: str,
    prepared: Callable[..., Dataset],
) -> FitResult:
    trials = Trials(folder, study, read_clock=clock.reads_time, factory=factory, progress=progress)
    trials.clean()
    context = Context(
        folder=folder,
        study=study,
        trials=trials,
        dataset=dataset,
        settings=settings,
        clock=clock,
        progress=progress,
        point=start.points[0],
        known=start.points,
        epochs=start.epochs,
        model_sha256=sha256,
        given=dataset,
        prepared=dataset,
        enlarge=lambda side: prepared(max_side=side, like=dataset),
    )
    finished = take_steps(context)
    model = Predictor(network=finished.network.cpu(), about=finished.about, encoder=context.given.encoder)
    return FitResult(folder=folder.path, record=read_run(folder), result=finished.result, model=model)


@contextlib.contextmanager
def _begun_or_gone(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except BaseException:
        abandon(folder)
        raise


def _write_start(folder: RunFolder, settings: Settings, dataset: Dataset) -> None:
    write_atomically(folder.path / "data.json", to_json(dataset.record, indent=1).encode())
    write_atomically(folder.path / "splits.npz", (dataset.folder / "splits.npz").read_bytes())
    # Last: a folder with settings is a run that can be resumed.
    write_atomically(folder.path / "settings.json", to_json(settings, indent=1).encode())


def _recorded_model_hash(settings: Settings) -> str:
    if settings.model_sha256 and file_sha256(settings.model) != settings.model_sha256:
        raise ResumeError(
            f"A run goes on with the model it began with, but {settings.model} has changed since. "
            "Restore it, or start a new run."
        )
    return settings.model_sha256


def _check_threads(settings: Settings, *, allow_drift: bool) -> None:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if settings.threads > available and not allow_drift:
        raise ResumeError(
            f"Weights are the same bit for bit only with the same threads, but the run was recorded with "
            f"{settings.threads} and this machine has {available}. --allow-drift goes on all the same."
        )


def _check_settings(*, seed: int, model: str | Callable[[], nn.Module]) -> None:
    wrong = []
    if seed < 0:
        wrong.append(f"`seed >= 0` must hold, but got {seed}. Take a natural number.")
    known = ("auto", *MODELS, *BACKBONES)
    if isinstance(model, str) and model not in known and not is_backbone(model) and not is_user_file(model):
        near = suggestion(model, known)
        wrong.append(f'`model` must be auto, a name, hub:ORG/NAME or file.py:function, but got "{model}". {near}')
    if wrong:
        raise SettingError(" ".join(wrong))


def _budget(seconds: float | None, steps: int | None) -> Budget:
    if seconds is not None and steps is not None:
        raise SettingError(f"A budget is in seconds or in steps, but got {seconds} and {steps}. Give one of them.")
    if steps is not None:
        if steps < 1:
            raise SettingError(f"`budget_steps >= 1` must hold, but got {steps}. Give it some steps, such as 20000.")
        return Budget(steps=steps)
    seconds = 300.0 if seconds is None else seconds
    if not 0 < seconds < float("inf"):
        raise SettingError(f"A budget must be above 0 seconds, but got {seconds:g}. Give it some time, such as 300.")
    return Budget(seconds=seconds)
