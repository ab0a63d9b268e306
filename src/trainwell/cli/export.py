"""trainwell export RUN"""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[str, typer.Argument(help="A run's folder or name.")],
    format: Annotated[str, typer.Option(help="onnx, torch-export or safetensors.")] = "onnx",  # noqa: A002 - the option's name
    to: Annotated[Path | None, typer.Option(help="The file; by default the run's name, here.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    model: Annotated[str | None, typer.Option(help="file.py:function, where the network is your own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a finished model as one file for other programs: raw pixels in, probabilities out."""
    import math

    from trainwell.core.jsonio import to_json
    from trainwell.verbs import export as write

    made = write(run, to, format=format, runs=runs, model=model)
    if as_json:
        typer.echo(to_json(made, indent=1))
        return
    typer.echo(f"{made.path}\n  in:  {made.takes}\n  out: {made.gives}")
    if not math.isnan(made.difference):
        typer.echo(f"  run beside the network, its outputs differ by at most {made.difference:.1g}")
