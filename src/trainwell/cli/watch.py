"""trainwell watch TARGET -- ARGS."""

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainwell.cli.check import codes_of
from trainwell.cli.configuration import check_settings
from trainwell.cli.formats import WIDTH, say_finding
from trainwell.core.files import write_atomically
from trainwell.core.jsonio import to_json, to_plain

if TYPE_CHECKING:
    from trainwell.watching import Watch


def watch(
    target: Annotated[str, typer.Argument(help="A training script; with -m, a module.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="After --: the script's own.", metavar="ARGS")] = None,
    module: Annotated[bool, typer.Option("-m", help="TARGET is a module, as after python -m.")] = False,
    select: Annotated[str | None, typer.Option(help="Ask these rules alone: ACT006,OPT008.", metavar="CODES")] = None,
    ignore: Annotated[str | None, typer.Option(help="Do not ask these rules.", metavar="CODES")] = None,
    json: Annotated[Path | None, typer.Option(help="Write what was found to this file.", metavar="FILE")] = None,
) -> None:
    """Run a training script to its end, unchanged, and say on standard error what is wrong as soon as it shows.

    The exit status is the script's own. Every step is looked at in the beginning, and two of two hundred after it.
    Started by torchrun, each process watches itself and the first one speaks.
    """
    from rich.console import Console

    from trainwell.watching import watch_script

    speaks = os.environ.get("RANK", "0") == "0"
    console = Console(stderr=True, highlight=False, soft_wrap=False)
    console.width = min(console.width, WIDTH)
    settings = check_settings(Path.cwd())
    watched, ended = watch_script(
        target,
        arguments or (),
        module=module,
        select=codes_of(settings, select, ignore),
        tell=(lambda finding: say_finding(console, finding)) if speaks else None,
    )
    if ended is not None and not isinstance(ended, SystemExit):
        trace = ended.__traceback__
        while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        traceback.print_exception(type(ended), ended, trace)
    if speaks:
        console.print(_summary(watched), markup=False)
        if json is not None:
            write_atomically(json.resolve(), (to_json(_as_plain(target, watched), indent=1) + "\n").encode())
    if isinstance(ended, SystemExit):
        raise ended
    if isinstance(ended, KeyboardInterrupt):
        sys.exit(130)
    if ended is not None:
        sys.exit(1)


def _is_ours(file: str) -> bool:
    import runpy

    import trainwell

    return file == runpy.__file__ or file.startswith(("<frozen runpy", str(Path(trainwell.__file__).parent)))


def _summary(watched: "Watch") -> str:
    shown = [each for each in watched.findings if each.severity != "info"]
    what = "nothing wrong" if not shown else f"{len(shown)} finding{'s' if len(shown) > 1 else ''}"
    share = watched.waited / watched.seconds if watched.seconds > 0 else 0.0
    waited = f"; {share:.0%} of the time was spent waiting for data" if watched.waited > 0 else ""
    trouble = f" Not all could be observed: {watched.trouble}." if watched.trouble else ""
    if not watched.steps and not shown:
        said = f"no step of torch.optim in this process, and so nothing was looked at ({watched.seconds:.0f} s{waited})"
        return f"trainwell: {said}.{trouble}"
    return f"trainwell: {what} in {watched.steps} optimizer steps ({watched.seconds:.0f} s{waited}).{trouble}"


def _as_plain(target: str, watched: "Watch") -> dict[str, object]:
    from trainwell.recipe.machine import versions

    headline = watched.diagnosis.headline
    return {
        "schema": 1,
        "target": target,
        "headline": None if headline is None else headline.code,
        "findings": [to_plain(each) for each in watched.findings],
        "not_run": [to_plain(each) for each in watched.diagnosis.not_run],
        "steps": watched.steps,
        "seconds": round(watched.seconds, 3),
        "waiting_for_data": round(watched.waited, 3),
        "versions": versions(),
    }
