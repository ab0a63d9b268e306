"""trainwell report RUN."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[str, typer.Argument(help="A run's folder or name.")],
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
) -> None:
    """Write a run's report anew, from its records alone."""
    from trainwell.verbs import report as write

    typer.echo(write(run, runs=runs))
