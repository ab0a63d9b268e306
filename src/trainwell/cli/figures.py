"""trainwell figures OUT."""

from pathlib import Path
from typing import Annotated

import typer


def figures(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="This picture (or claim); may be repeated.")
    ] = None,
    claims: Annotated[
        bool, typer.Option("--claims", help="Measure the notes' claims instead: minutes, into OUT/claims.jsonl.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(help="Seeds of each claim; as many as it asks for by default.")] = None,
) -> None:
    """Redraw every picture of the lecture notes from live code, as SVG and PNG; or measure every claim."""
    from trainwell.core.errors import SettingError

    if seeds is not None and not claims:
        raise SettingError("`--seeds` belongs to `--claims`. Leave it out, or measure the claims.")
    if claims:
        _measure(out, only or [], seeds)
        return
    from trainwell.lecture.writing import caption, write_figures

    for written in write_figures(out, only=only or ()):
        typer.echo(f"{written.svg}  {caption(written.name)}")


def _measure(out: Path, only: list[str], seeds: int | None) -> None:
    from trainwell.core.files import write_atomically, writing
    from trainwell.core.jsonio import to_json
    from trainwell.lecture.claims.measuring import measure_claims

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for result in measure_claims(only, seeds=seeds):
        lines.append(to_json(result))
        write_atomically(out / "claims.jsonl", "".join(f"{line}\n" for line in lines).encode())
        typer.echo(f"{result.name}: {result.verdict}. {result.why}")
