"""trainwell check TARGET -- ARGS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from trainwell.cli.budget import read_budget
from trainwell.cli.configuration import check_settings
from trainwell.cli.formats import chosen, tell
from trainwell.core.errors import ScriptError, SettingError, suggestion

if TYPE_CHECKING:
    from trainwell.core.records.finding import Finding


class ScriptCommand(TyperCommand):
    """A command whose arguments after -- are a script's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """An option that is not the command's is most likely the script's."""
        known = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        for each in args:
            if each == "--":
                break
            if each.startswith("-") and each.split("=")[0] not in known:
                near = suggestion(each, [name for name in known if name.startswith("--")])
                raise SettingError(
                    f'`{ctx.info_name}` has no option "{each}": put the script\'s options after --. {near}'
                )
        return super().parse_args(ctx, args)


def check(
    target: Annotated[str, typer.Argument(help="A training script; with -m, a module.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="After --: the script's own.", metavar="ARGS")] = None,
    module: Annotated[bool, typer.Option("-m", help="TARGET is a module, as after python -m.")] = False,
    select: Annotated[str | None, typer.Option(help="Ask these rules alone: ACT006,OPT008.", metavar="CODES")] = None,
    ignore: Annotated[str | None, typer.Option(help="Do not ask these rules.", metavar="CODES")] = None,
    fail_on: Annotated[
        str | None, typer.Option(help="error, warning or never: from which severity on the exit status is 1.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps that are looked at, at most: 300.")] = None,
    budget: Annotated[str | None, typer.Option(help="How long it may take: 60s, 5m.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Run it once and no more: causes are not tried out.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Try the remedies, and print what to change. No file is touched.")
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="text, json, sarif, html, or github: annotations of a workflow there.", metavar="FORMAT"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Write it to this file. Its name says the format: .json, .sarif, .html.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say also what could not be looked at.")] = False,
) -> None:
    """Say why a network does not train, from its own script, no line of which is changed.

    The script is run for real until it has taken some optimizer steps: files that it writes before are written. Where
    a cause must be tried to be known, it is run up to three times more.

    Options may stand in pyproject.toml, under [tool.trainwell.check]; a comment `# trainwell: ignore[ACT006]` keeps a
    rule from speaking of a line.
    """
    settings = check_settings(Path.cwd())
    fail_on = fail_on or settings.get("fail-on", "warning")
    steps = steps if steps is not None else settings.get("steps")
    budget = budget or settings.get("budget", "60s")
    form = chosen("json" if as_json else format_, output)
    if fail_on not in ("error", "warning", "never"):
        near = suggestion(fail_on, ("error", "warning", "never"))
        raise SettingError(f'`--fail-on` must be error, warning or never, but got "{fail_on}". {near}')
    seconds = read_budget(budget).get("budget_seconds")
    if seconds is None:
        raise SettingError(f'The budget of a check is a time, but got "{budget}". Write 60s, and --steps for steps.')
    from trainwell.checking import check as carry_out

    try:
        found = carry_out(
            target,
            arguments or (),
            module=module,
            **({} if steps is None else {"steps": steps}),
            seconds=float(seconds),
            once=once,
            fix=fix,
            select=codes_of(settings, select, ignore),
            tell=_tell if form == "text" else None,
        )
    except ScriptError as error:
        if error.traceback:
            typer.echo(error.traceback, err=True)
        raise
    tell(found, form, verbose=verbose, output=output)
    levels = {"error": ("error",), "warning": ("error", "warning"), "never": ()}[fail_on]
    raise typer.Exit(1 if any(each.severity in levels for each in found.diagnosis.findings) else 0)


def _tell(finding: "Finding") -> None:
    """The first that is proven, at once: what is tried after it takes a while."""
    where = finding.where
    place = f"{where.file}:{where.line}: " if where.file and where.line else ""
    typer.echo(f"{place}{finding.code} {finding.name}. Trying what else there is ...", err=True)


def codes_of(settings: Mapping[str, Any], select: str | None, ignore: str | None) -> Sequence[str] | None:
    """The rules to ask; None for all.

    Args:
        settings: of pyproject.toml; what the command line says goes before them.
        select: codes, with commas between.
        ignore: likewise.
    Raises:
        SettingError: there is no such rule.
    """
    chosen_ = settings.get("select") if select is None else _split(select)
    left_out = settings.get("ignore", []) if ignore is None else _split(ignore)
    if chosen_ is None and not left_out:
        return None
    from trainwell.diagnosis.rules.table import RULES

    unknown = [code for code in (*(chosen_ or ()), *left_out) if code not in RULES]
    if unknown:
        raise SettingError(f'A rule has a code, but there is none "{unknown[0]}". {suggestion(unknown[0], RULES)}')
    return [code for code in (RULES if chosen_ is None else chosen_) if code not in left_out]


def _split(text: str) -> list[str]:
    return [code.strip().upper() for code in text.split(",") if code.strip()]
