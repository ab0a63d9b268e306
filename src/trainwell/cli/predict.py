"""trainwell predict RUN FILE..."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[str, typer.Argument(help="A run's folder or name.")],
    files: Annotated[list[Path], typer.Argument(help="Pictures, folders of them, or tables.")],
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    model: Annotated[str | None, typer.Option(help="file.py:function, where the network is your own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Predict for new files, decoded and preprocessed as in training."""
    import json
    import math

    from trainwell.core.errors import DataError
    from trainwell.core.jsonio import to_plain
    from trainwell.verbs import load

    predictor = load(run, runs=runs, model=model)
    found = predictor.predict_files(files)
    key = "file" if predictor.about.input.kind == "image" else "row"
    targets = predictor.about.output.names
    lines = []
    for each in found.made:
        line: dict[str, object] = {key: each.name}
        if each.label or not each.values:
            line |= {"label": each.label, "probability": each.probability}
        else:
            line["value"] = each.values[0] if len(each.values) == 1 else dict(zip(targets, each.values, strict=True))
        lines.append(line)
    for left in found.left_out:
        typer.echo(f"trainwell: {left.name} was left out: {left.why}", err=True)
    if as_json:
        typer.echo(json.dumps(to_plain(lines), indent=1))
    else:
        for line, each in zip(lines, found.made, strict=True):
            said = f"{each.label}\t{each.probability:.3f}" if not math.isnan(each.probability) else str(line["value"])
            typer.echo(f"{each.name}\t{said}")
    if not found.made:
        raise DataError("None of the files could be read.")
