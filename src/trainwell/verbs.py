"""The verbs of the command line as Python functions: what `import trainwell` offers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from trainwell import checking, sweeping
from trainwell.capture.given import Setup
from trainwell.core.errors import SettingError
from trainwell.core.protocols import Progress
from trainwell.core.records.evidence import LrSweep
from trainwell.core.records.finding import Finding
from trainwell.core.records.run import Result, RunRecord
from trainwell.deployment import SUFFIXES, Exported
from trainwell.deployment import export as export_model
from trainwell.recipe import fit as recipe
from trainwell.recipe.predict import Predictor, load_predictor
from trainwell.recipe.read_run import read_run
from trainwell.report.check_report import CheckReport
from trainwell.report.page import write
from trainwell.store.folder import find_run
from trainwell.watching import Watch


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A finished run.

    Attributes:
        folder: where everything lies.
        record: everything that was measured.
        result: what `result.json` holds.
        model: `model.predict(files, arrays or a DataFrame)`.
        report: path of the page.
    """

    folder: Path
    record: RunRecord
    result: Result
    model: Predictor
    report: Path


def fit(data: Any, *, progress: Progress | None = None, **options: Any) -> Fitted:
    """Carry out the recipe on labelled data and write the report.

    Args:
        data: a folder, a file, a built-in name; or arrays, a DataFrame, a torch Dataset.
        progress: is told how it goes on.
        options: of `trainwell.recipe.fit.fit`: target, test, validation, name, runs, budget_seconds, budget_steps,
            seed, model, device.
    Returns:
        Model, records and report.
    """
    return _reported(recipe.fit(data, progress=progress, **options))


def resume(name: str, data: Any = None, *, progress: Progress | None = None, **options: Any) -> Fitted:
    """Go on with an interrupted run and write the report.

    Args:
        name: the run's name or folder.
        data: given again only where it was no path or name.
        progress: is told how it goes on.
        options: of `trainwell.recipe.fit.resume`.
    """
    return _reported(recipe.resume(name, data, progress=progress, **options))


def check(
    target: Setup | nn.Module | str | Path,
    data: Any = None,
    *,
    arguments: tuple[str, ...] = (),
    steps: int = checking.STEPS,
    budget_seconds: float = checking.SECONDS,
    select: tuple[str, ...] | None = None,
    fix: bool = False,
    **fields: Any,
) -> CheckReport:
    """Say why a network does not train.

    Args:
        target: a Setup; a network, with its `data`; or a script's path, which is run for real in another process.
        data: what the network is trained on: a pair of tensors or arrays, a Dataset or a DataLoader.
        arguments: the script's own.
        steps: optimizer steps that are looked at, >= 1.
        budget_seconds: that it may take, > 0.
        select: codes of the rules to ask; None for all.
        fix: try the remedies too, with three other seeds each.
        fields: of the Setup, where `target` is a network: loss, optimizer, val, batch_size, step, seed.
    Returns:
        Findings, root causes first; a notebook shows it as a page. What is handed over is left as it is.
    Raises:
        SettingError: parts that cannot be trained, or an argument outside its range.
        ScriptError: the script took no step.
    """
    if isinstance(target, str | Path):
        if data is not None or fields:
            raise SettingError(f"A script brings its own data and loss, but got {target} and more. Pass it alone.")
        return CheckReport(
            checking.check(str(target), arguments, steps=steps, seconds=float(budget_seconds), fix=fix, select=select)
        )
    setup = target if isinstance(target, Setup) else Setup(target, train=data, **fields)
    options: dict[str, Any] = {"steps": steps, "seconds": float(budget_seconds), "select": select}
    return CheckReport(checking.check_setup(setup, fix=fix, **options), setup, options)


def watch(*, select: tuple[str, ...] | None = None, tell: Callable[[Finding], None] | None = None) -> Watch:
    """Watch a training of your own: `with trainwell.watch() as watched: ...`, then `watched.findings`.

    Args:
        select: codes of the rules to ask; None for all.
        tell: is handed each finding once, as soon as it stands.
    Returns:
        A context; nothing of the training within is changed.
    Raises:
        SettingError: `select` names a rule that does not exist.
    """
    return Watch(select=select, tell=tell)


def find_lr(
    target: Setup | nn.Module | str | Path,
    data: Any = None,
    *,
    arguments: tuple[str, ...] = (),
    steps: int = sweeping.STEPS,
    budget_seconds: float = sweeping.SECONDS,
    **fields: Any,
) -> LrSweep:
    """The learning rate at which a training goes down: its first steps, at rates that rise from 1e-6 to 10.

    Args:
        target: as for `check`.
        data: likewise.
        arguments: the script's own.
        steps: of the sweep, >= 10.
        budget_seconds: that it may take, > 0.
        fields: of the Setup, where `target` is a network.
    Returns:
        `.lr`, `.interval`, `.usable`, `.curve`. What is handed over is left as it is.
    """
    if isinstance(target, str | Path):
        return sweeping.find_lr(str(target), arguments, steps=steps, seconds=float(budget_seconds))
    setup = target if isinstance(target, Setup) else Setup(target, train=data, **fields)
    return sweeping.find_lr_of_setup(setup, steps=steps, seconds=float(budget_seconds))


def load(
    run: str | Path, *, runs: str | Path = "runs", model: str | Callable[[], nn.Module] | None = None
) -> Predictor:
    """A finished run's model.

    Args:
        run: a name under `runs`, or a folder.
        runs: folder of runs.
        model: file.py:function, or the function itself, where the network is your own.
    """
    folder = Path(run) if (Path(run) / "model.json").is_file() else find_run(Path(runs), str(run)).path
    if model is None or isinstance(model, str):
        return load_predictor(folder, model=model)
    return load_predictor(folder, factory=model)


def export(
    run: str | Path,
    to: str | Path | None = None,
    *,
    format: str = "onnx",  # noqa: A002 - the option's name
    runs: str | Path = "runs",
    model: str | Callable[[], nn.Module] | None = None,
) -> Exported:
    """Write a finished run's model as one file for other programs.

    Args:
        run: a name under `runs`, or a folder.
        to: the file; None for RUN.onnx, RUN.pt2 or RUN.safetensors in the working directory.
        format: onnx, torch-export or safetensors; `trainwell.deployment.export` says what each is.
        runs: folder of runs.
        model: file.py:function, or the function itself, where the network is your own.
    Returns:
        What was written, and how far its outputs are from the network's.
    """
    found = load(run, runs=runs, model=model)
    return export_model(found, Path(to or Path(run).resolve().name + SUFFIXES.get(format, "")), format=format)


def report(run: str | Path, *, runs: str | Path = "runs") -> Path:
    """Write a run's page anew, from its records alone.

    Args:
        run: a name under `runs`, or a folder.
        runs: folder of runs.
    Returns:
        The page's path.
    """
    folder = find_run(Path(runs), str(run))
    write(read_run(folder), folder.report)
    return folder.report


def _reported(found: recipe.FitResult) -> Fitted:
    path = found.folder / "report.html"
    write(found.record, path)
    return Fitted(folder=found.folder, record=found.record, result=found.result, model=found.model, report=path)
