"""The program `trainwell`."""

import sys
from typing import Annotated

import typer

from trainwell.cli import check, export, figures, find_lr, fit, predict, report, rule, runs, watch
from trainwell.core.errors import TrainwellError
from trainwell.core.version import VERSION

app = typer.Typer(
    name="trainwell",
    help="The neural-network training recipe, executed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="fit")(fit.fit)
app.command(name="check", cls=check.ScriptCommand)(check.check)
app.command(name="watch", cls=check.ScriptCommand)(watch.watch)
app.command(name="find-lr", cls=check.ScriptCommand)(find_lr.find_lr)
app.command(name="predict")(predict.predict)
app.command(name="export")(export.export)
app.command(name="report")(report.report)
app.command(name="runs")(runs.runs)
app.command(name="rule")(rule.rule)
app.command(name="figures")(figures.figures)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit
    return wanted


@app.callback()
def _common(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The neural-network training recipe, executed."""


def main() -> None:
    """Run the program: a mistake of the user's is one sentence on standard error and status 2."""
    try:
        app()
    except TrainwellError as error:
        print(f"trainwell: {error}", file=sys.stderr)  # noqa: T201 - the program's own voice
        sys.exit(2)
    except KeyboardInterrupt:
        print("trainwell: interrupted.", file=sys.stderr)  # noqa: T201 - the program's own voice
        sys.exit(130)
    except OSError as error:
        from trainwell.core.files import reason

        where = f"{error.filename}: " if error.filename else ""
        print(f"trainwell: {where}{reason(error)}.", file=sys.stderr)  # noqa: T201 - the program's own voice
        sys.exit(2)
