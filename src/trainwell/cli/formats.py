"""What a check prints: one function a format, from what was found to text."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trainwell.core.errors import SettingError, suggestion
from trainwell.core.files import write_atomically, writing

if TYPE_CHECKING:
    from rich.console import Console

    from trainwell.checking import Checked
    from trainwell.core.records.finding import Finding, Remedy, Where

WIDTH = 100
"""Columns that are used at most: longer lines are hard to read."""
COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}
SUFFIXES = {".json": "json", ".sarif": "sarif", ".html": "html", ".htm": "html"}
"""What a file's name says of the format that it is to have."""


def chosen(form: str | None, output: Path | None) -> str:
    """The format that is meant, before anything is run.

    Args:
        form: as it was asked for; None: as the file's name says, else text.
        output: the file; None for standard output.
    Returns:
        A key of `FORMATS`.
    Raises:
        SettingError: there is no such format, or no file can be written there.
    Example:
        >>> chosen(None, None), chosen(None, Path("check.sarif")), chosen("json", Path("check.txt"))
        ('text', 'sarif', 'json')
    """
    if form is not None and form not in FORMATS:
        raise SettingError(f'`--format` must be one of them, but got "{form}". {suggestion(form, FORMATS)}')
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        why = "is a folder" if output.is_dir() else "would be in a folder that does not exist"
        raise SettingError(f"`--output` must name a file, but {output} {why}. Give a path that can be written.")
    return form or (SUFFIXES.get(output.suffix.lower(), "text") if output else "text")


def tell(found: "Checked", form: str, *, verbose: bool, output: Path | None) -> None:
    """Print a check, or write it to a file and print where it is.

    Args:
        found: what it found.
        form: a key of `FORMATS`.
        verbose: whether to say also what could not be looked at.
        output: the file; None for standard output.
    Raises:
        StoreError: the file cannot be written.
    """
    if output is None and form == "text":
        _to_terminal(found, verbose)
    elif output is None:
        typer.echo(FORMATS[form](found, verbose), nl=False)
    else:
        _write(output, FORMATS[form](found, verbose).encode())
        typer.echo(f"{_counted(found, verbose)}: written to {output}.")


def _write(path: Path, data: bytes) -> None:
    # A pipe or a device is written to, and never replaced by a file; a link keeps pointing where it does.
    if path.exists() and not path.is_file():
        with writing(path):
            path.write_bytes(data)
    else:
        write_atomically(path.resolve(), data)


def as_text(found: "Checked", verbose: bool) -> str:
    """The terminal's view without its colours."""
    from rich.console import Console

    written = io.StringIO()
    _say(Console(file=written, width=WIDTH, highlight=False, color_system=None), found, verbose)
    if found.heard.error:
        written.write(f"{found.heard.error}\n")
    return written.getvalue()


def as_json(found: "Checked", _verbose: bool) -> str:
    """One object."""
    from trainwell.report.check_report import CheckReport

    return CheckReport(found).to_json() + "\n"


def as_sarif(found: "Checked", verbose: bool) -> str:
    """SARIF 2.1.0, for editors and for code scanning."""
    from trainwell.cli.sarif import sarif
    from trainwell.core.jsonio import to_json

    return to_json(sarif(found, verbose=verbose), indent=1) + "\n"


def as_html(found: "Checked", _verbose: bool) -> str:
    """One page that opens from disk."""
    from trainwell.report.check_report import CheckReport

    return CheckReport(found).to_html()


def as_annotations(found: "Checked", verbose: bool) -> str:
    """A workflow command of GitHub's a finding: it shows beside the line in a pull request."""
    lines = []
    for each in found.diagnosis.findings:
        if each.severity == "info" and not verbose:
            continue
        level = {"error": "error", "warning": "warning", "info": "notice"}[each.severity]
        place = {"file": each.where.file, "line": each.where.line, "title": f"{each.code} {each.name}"}
        told = ",".join(f"{name}={_escaped(str(value), ',:')}" for name, value in place.items() if value is not None)
        text = "\n".join([each.message, each.cause, *(f"Remedy: {remedy.text}" for remedy in each.remedies)])
        lines.append(f"::{level} {told}::{_escaped(text)}\n")
    return "".join(lines)


def _escaped(text: str, further: str = "") -> str:
    """As GitHub's workflow commands want it."""
    for character in "%\r\n" + further:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


FORMATS: dict[str, Callable[["Checked", bool], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_annotations,
    "sarif": as_sarif,
    "html": as_html,
}
"""A format's name -> what makes it out of what was found, and of whether to say also what could not be looked at."""


def _to_terminal(found: "Checked", verbose: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    console.width = min(console.width, WIDTH)
    _say(console, found, verbose)
    if found.heard.error:
        typer.echo(found.heard.error, err=True)


def _say(console: "Console", found: "Checked", verbose: bool) -> None:
    from trainwell.report.check_report import abstained

    shown = [each for each in found.diagnosis.findings if verbose or each.severity != "info"]
    for each in shown:
        say_finding(console, each)
    if said := abstained(found):
        console.print(f"{said}\n", markup=False)
    spoke, silent = found.diagnosis.spoke, len(found.diagnosis.not_run)
    again = f", taken {found.runs} times" if found.runs > 1 else ""
    console.print(
        f"{_counted(found, verbose)}{again} ({found.seconds:.0f} s); {spoke} rules were asked."
        + (f" -v says why {silent} others could not be." if silent and not verbose else ""),
        markup=False,
    )
    if found.ignored:
        console.print(f"{found.ignored} more are ignored by comments in the script.", markup=False)
    if found.heard.trouble:
        console.print(f"Not all could be observed: {found.heard.trouble}.", markup=False)
    if verbose:
        for rule in found.diagnosis.not_run:
            console.print(f"  {rule.code}  {rule.why}", markup=False)
    if found.heard.error:
        console.print("Then the script ended by itself, with this:", markup=False)


def _counted(found: "Checked", verbose: bool) -> str:
    from trainwell.report.check_report import abstained

    infos = sum(each.severity == "info" for each in found.diagnosis.findings)
    shown = len(found.diagnosis.findings) - infos
    nothing = "No cause found" if abstained(found) else "Nothing wrong"
    what = nothing if not shown else f"{shown} finding{'s' if shown > 1 else ''}"
    beside = f", {infos} info{'s' if infos > 1 else ''}" if verbose and infos else ""
    return f"{what} in {found.taken} optimizer steps{beside}"


def say_finding(console: "Console", finding: "Finding") -> None:
    """A finding as the terminal shows it: head with its place, message, cause, remedies.

    Args:
        console: to print on.
        finding: of a check or a watch.
    """
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
        if said := tried(remedy):
            console.print(Padding(Text(said), (0, 0, 0, 2), expand=False))
        for line in remedy.patch.splitlines():
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            # Whole, to be copied.
            console.print(Text(line, style=colour), soft_wrap=True)
    console.print()


def tried(remedy: "Remedy") -> str:
    """What came of a remedy that was tried, in words; empty where it was not.

    Args:
        remedy: of a finding.
    """
    if not (remedy.proven or remedy.unproven):
        return ""
    losses = ""
    if remedy.loss_before is not None and remedy.loss_after is not None:
        losses = (
            f"held-out loss {remedy.loss_before:.3g} without it, {remedy.loss_after:.3g} with it, {remedy.seeds} seeds"
        )
    if remedy.proven:
        same = f"the finding is gone, and each step's loss is what it was, {remedy.seeds} seeds"
        return f"Proven: {losses or same}."
    return f"Not proven: {remedy.unproven}{f' ({losses})' if losses else ''}."


def _place(where: "Where") -> str:
    line = f"{where.file}:{where.line}" if where.file else ""
    layer = f'layer "{where.layer}"' if where.layer else ""
    return ", ".join(each for each in (line, layer) if each)
