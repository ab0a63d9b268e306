"""trainwell runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainwell.core.records.run import Result


def runs(
    folder: Annotated[Path, typer.Option("--runs", help="Folder of runs.")] = Path("runs"),
) -> None:
    """List the runs, newest first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from trainwell.core.jsonio import from_json
    from trainwell.core.records.run import Result, Settings

    found = [path for path in folder.iterdir() if (path / "settings.json").is_file()] if folder.is_dir() else []
    if not found:
        typer.echo(f"There are no runs in {folder}.")
        return
    table = Table(box=None, header_style="bold")
    for title in ("run", "data", "started", "test", "state"):
        table.add_column(title)
    settings = {path: from_json(Settings, (path / "settings.json").read_bytes()) for path in found}
    for path in sorted(found, key=lambda each: settings[each].started, reverse=True):
        done = path / "result.json"
        value, state = "", f"interrupted: --resume {path.name}"
        if done.is_file():
            result = from_json(Result, done.read_bytes())
            value = _shown(result)
            state = "finished"
        table.add_row(escape(path.name), escape(settings[path].data), settings[path].started[:16], value, state)
    Console().print(table)


def _shown(result: "Result") -> str:
    """The metric on the test part."""
    value = result.test.value
    return f"{100 * value:.1f}%" if result.test.metric == "accuracy" else f"R² {value:.3f}"
