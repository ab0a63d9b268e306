"""trainwell find-lr TARGET -- ARGS."""

from typing import Annotated

import typer

from trainwell.cli.budget import read_budget
from trainwell.core.errors import ScriptError, SettingError


def find_lr(
    target: Annotated[str, typer.Argument(help="A training script, or file.py:function; with -m, a module.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="After --: the script's own.", metavar="ARGS")] = None,
    module: Annotated[bool, typer.Option("-m", help="TARGET is a module, as after python -m.")] = False,
    steps: Annotated[int, typer.Option(help="Optimizer steps of the sweep.")] = 100,
    budget: Annotated[str, typer.Option(help="How long it may take: 60s, 5m.")] = "2m",
    as_json: Annotated[bool, typer.Option("--json", help="The whole sweep as one JSON object.")] = False,
) -> None:
    """Find the learning rate of a training script: its first steps are taken at rates that rise from 1e-6 to 10.

    The script is run for real, and no line of it is changed. Exit status 1: the loss falls at no rate.
    """
    from trainwell.core.jsonio import to_json
    from trainwell.sweeping import find_lr as carry_out

    seconds = read_budget(budget).get("budget_seconds")
    if seconds is None:
        raise SettingError(f'The budget of a sweep is a time, but got "{budget}". Write 60s, and --steps for steps.')
    try:
        found = carry_out(target, arguments or (), module=module, steps=steps, seconds=float(seconds))
    except ScriptError as error:
        if error.traceback:
            typer.echo(error.traceback, err=True)
        raise
    if as_json:
        typer.echo(to_json(found, indent=1))
    elif found.usable:
        low, high = found.interval
        typer.echo(f"learning rate {found.lr:.2g}; the loss falls between {low:.2g} and {high:.2g}.")
    else:
        typer.echo(f"The loss falls at no rate between {found.curve.x[0]:.2g} and {found.curve.x[-1]:.2g}.")
    raise typer.Exit(0 if found.usable else 1)
