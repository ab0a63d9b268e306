"""The verbs of the command line as Python functions: what `import trainwell` offers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from trainwell.core.protocols import Progress
from trainwell.core.records.run import Result, RunRecord
from trainwell.deployment import SUFFIXES, Exported
from trainwell.deployment import export as export_model
from trainwell.recipe import fit as recipe
from trainwell.recipe.predict import Predictor, load_predictor
from trainwell.recipe.read_run import read_run
from trainwell.report.page import write
from trainwell.store.folder import find_run


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
