"""trainwell fit DATA."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trainwell.cli.budget import read_budget
from trainwell.core.errors import SettingError


def fit(
    data: Annotated[
        str | None,
        typer.Argument(help="A folder with a folder per class, a file (CSV, Parquet, IDX, .npz), or digits, wine, ..."),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="Column of a table to be predicted; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    budget: Annotated[
        str | None, typer.Option(help="How long it may take: 90s, 5m, 2h, or 20000steps.", show_default="5m")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn.", show_default="0")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="auto, mlp, convnet, resnet, efficientnet_lite0 (pretrained), hub:ORG/NAME, or file.py:function.",
            show_default="auto",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, mps.", show_default="auto")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this run.", metavar="NAME")] = None,
    allow_drift: Annotated[bool, typer.Option("--allow-drift", help="Resume although threads differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on the way.")] = False,
) -> None:
    """Train a network well: the seven steps of the recipe, each with its evidence."""
    # SIGTERM ends a run as Ctrl-C does: what is written stays whole.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    limits = read_budget(budget or "5m")
    if data is None and resume is None:
        raise SettingError("`fit` needs DATA: a folder, a file or a name such as digits. Or give --resume NAME.")
    if resume is not None:
        given = {"--budget": budget, "--seed": seed, "--model": model, "--device": device, "--name": name}
        own = [option for option, value in given.items() if value is not None]
        if own:
            raise SettingError(f"A run goes on with its own settings, but got {', '.join(own)}. Leave that out.")
    from trainwell.cli.progress import say, shown

    named: list[str] = [] if resume is None else [resume]
    try:
        with shown(quiet=quiet or as_json, budget_seconds=float(limits.get("budget_seconds", 0.0))) as progress:
            from trainwell import verbs

            if resume is not None:
                found = verbs.resume(resume, data, runs=runs, allow_drift=allow_drift, progress=progress)
            else:
                options: dict[str, Any] = dict(limits)
                found = verbs.fit(
                    data,
                    target=tuple(target or ()),
                    name=name,
                    runs=runs,
                    seed=seed or 0,
                    model=model or "auto",
                    device=device or "auto",
                    progress=progress,
                    on_folder=lambda folder: named.append(folder.name),
                    **options,
                )
    except KeyboardInterrupt:
        hint = f"Go on with: trainwell fit --resume {named[0]}" if named else "Nothing was begun."
        where = f" --runs {runs}" if named and runs != Path("runs") else ""
        typer.echo(f"trainwell: interrupted. {hint}{where}", err=True)
        # Nothing more is to be said or written: threads of libraries may still be at work.
        sys.stderr.flush()
        os._exit(130)
    if as_json:
        typer.echo((found.folder / "result.json").read_text(encoding="utf-8"))
        return
    say(found.result.headline)
    if not quiet:
        typer.echo(f"model   {found.folder / 'model'}")
        typer.echo(f"report  {found.report}")


def _interrupt(*_: object) -> None:
    # A library that is interrupted at work would log its own trouble with that; the store rolls back all the same.
    logging.disable(logging.CRITICAL)
    raise KeyboardInterrupt
