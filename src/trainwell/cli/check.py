"""trainwell check TARGET -- ARGS."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from trainwell.cli.budget import read_budget
from trainwell.cli.configuration import check_settings
from trainwell.core.errors import ScriptError, SettingError, suggestion
from trainwell.core.jsonio import to_json, to_plain

if TYPE_CHECKING:
    from rich.console import Console

    from trainwell.checking import Checked
    from trainwell.core.records.finding import Finding, Where

WIDTH = 100
"""Columns that are used at most: longer lines are hard to read."""
COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


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
                raise SettingError(f'`check` has no option "{each}": put the script\'s options after --. {near}')
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
    steps: Annotated[int | None, typer.Option(help="Optimizer steps that are looked at: 30.")] = None,
    budget: Annotated[str | None, typer.Option(help="How long it may take: 60s, 5m.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Run it once and no more: causes are not tried out.")] = False,
    format_: Annotated[
        str, typer.Option("--format", help="text, json, or github: annotations of a workflow there.", metavar="FORMAT")
    ] = "text",
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
    steps = steps if steps is not None else settings.get("steps", 30)
    budget = budget or settings.get("budget", "60s")
    form = "json" if as_json else format_
    if form not in FORMATS:
        raise SettingError(f'`--format` must be one of them, but got "{form}". {suggestion(form, FORMATS)}')
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
            steps=steps,
            seconds=float(seconds),
            once=once,
            select=_codes(
                settings.get("select") if select is None else _split(select),
                settings.get("ignore", []) if ignore is None else _split(ignore),
            ),
        )
    except ScriptError as error:
        if error.traceback:
            typer.echo(error.traceback, err=True)
        raise
    FORMATS[form](found, verbose)
    levels = {"error": ("error",), "warning": ("error", "warning"), "never": ()}[fail_on]
    raise typer.Exit(1 if any(each.severity in levels for each in found.diagnosis.findings) else 0)


def _codes(select: Sequence[str] | None, ignore: Sequence[str]) -> Sequence[str] | None:
    if select is None and not ignore:
        return None
    from trainwell.diagnosis.rules.table import RULES

    unknown = [code for code in (*(select or ()), *ignore) if code not in RULES]
    if unknown:
        raise SettingError(f'A rule has a code, but there is none "{unknown[0]}". {suggestion(unknown[0], RULES)}')
    return [code for code in (RULES if select is None else select) if code not in ignore]


def _split(text: str) -> list[str]:
    return [code.strip().upper() for code in text.split(",") if code.strip()]


def _as_json(found: "Checked") -> dict[str, Any]:
    from trainwell.recipe.machine import versions

    headline = found.diagnosis.headline
    return {
        "schema": 1,
        "target": found.target,
        "headline": None if headline is None else headline.code,
        "findings": [to_plain(each) for each in found.diagnosis.findings],
        "not_run": [to_plain(each) for each in found.diagnosis.not_run],
        "steps": found.taken,
        "runs": found.runs,
        "seconds": round(found.seconds, 3),
        "versions": versions(),
    }


def _say_json(found: "Checked", _verbose: bool) -> None:
    typer.echo(to_json(_as_json(found), indent=1))


def _say_to_github(found: "Checked", verbose: bool) -> None:
    """A workflow command a finding: it shows beside the line in a pull request."""
    for each in found.diagnosis.findings:
        if each.severity == "info" and not verbose:
            continue
        level = {"error": "error", "warning": "warning", "info": "notice"}[each.severity]
        place = {"file": each.where.file, "line": each.where.line, "title": f"{each.code} {each.name}"}
        told = ",".join(f"{name}={_escaped(str(value), ',:')}" for name, value in place.items() if value is not None)
        text = "\n".join([each.message, each.cause, *(f"Remedy: {remedy.text}" for remedy in each.remedies)])
        typer.echo(f"::{level} {told}::{_escaped(text)}")


def _escaped(text: str, further: str = "") -> str:
    """As GitHub's workflow commands want it."""
    for character in "%\r\n" + further:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _say(found: "Checked", verbose: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    console.width = min(console.width, WIDTH)
    shown = [each for each in found.diagnosis.findings if verbose or each.severity != "info"]
    for each in shown:
        _say_finding(console, each)
    spoke, silent = found.diagnosis.spoke, len(found.diagnosis.not_run)
    again = f", taken {found.runs} times" if found.runs > 1 else ""
    what = "Nothing wrong" if not shown else f"{len(shown)} finding{'s' if len(shown) > 1 else ''}"
    console.print(
        f"{what} in {found.taken} optimizer steps{again} ({found.seconds:.0f} s); {spoke} rules were asked."
        + (f" -v says why {silent} others could not be." if silent and not verbose else ""),
        markup=False,
    )
    if found.ignored:
        console.print(f"{found.ignored} more are ignored by comments in the script.", markup=False)
    if found.heard.error:
        console.print("Then the script ended by itself, with this:", markup=False)
        typer.echo(found.heard.error, err=True)
    if found.heard.trouble:
        console.print(f"Not all could be observed: {found.heard.trouble}.", markup=False)
    if verbose:
        for rule in found.diagnosis.not_run:
            console.print(f"  {rule.code}  {rule.why}", markup=False)


FORMATS: dict[str, Callable[["Checked", bool], None]] = {"text": _say, "json": _say_json, "github": _say_to_github}
"""What a check prints, by name."""


def _say_finding(console: "Console", finding: "Finding") -> None:
    from rich.padding import Padding
    from rich.text import Text

    head = Text.assemble(
        (finding.severity, f"bold {COLOURS[finding.severity]}"), f" {finding.code} ", (finding.name, "bold")
    )
    place = _place(finding.where)
    console.print(head + Text(f"  {place}" if place else ""))
    console.print(Padding(Text(finding.message), (0, 0, 0, 2), expand=False))
    if finding.cause:
        console.print(Padding(Text(finding.cause), (0, 0, 0, 2), expand=False))
    for remedy in finding.remedies:
        console.print(Padding(Text.assemble(("Remedy: ", "green"), remedy.text), (0, 0, 0, 2), expand=False))
    console.print()


def _place(where: "Where") -> str:
    line = f"{where.file}:{where.line}" if where.file else ""
    layer = f'layer "{where.layer}"' if where.layer else ""
    return ", ".join(each for each in (line, layer) if each)
