"""A finished model as a file for other programs: raw pixels or encoded rows in, probabilities or values out.

Preprocessing, the views that are averaged, the temperature and the targets' units are inside the graph.
"""

import contextlib
import importlib.util
import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from trainwell.core.errors import MissingExtraError, ModelError, SettingError, one_line, suggestion
from trainwell.core.files import write_atomically, writing
from trainwell.core.jsonio import to_json
from trainwell.core.records.record import record
from trainwell.core.seeds import generator
from trainwell.data.encoders import TableEncoder
from trainwell.models.folder import ModelRecord
from trainwell.recipe.predict import Predictor
from trainwell.search.augment import views_of
from trainwell.training.calibration import at_temperature
from trainwell.training.objective import unstandardize

CHECKED = 8
"""Made inputs that a written graph is run on."""
LARGEST_DIFFERENCE = 1e-3
"""Between a graph's outputs and the network's, of probabilities or of standardized targets."""


@record
class Exported:
    """What was written.

    Attributes:
        path: of the file.
        format: onnx, torch-export or safetensors.
        takes: what goes in, in words.
        gives: what comes out, in words.
        difference: largest between its outputs and the network's on made inputs; NaN where it was not run.
    """

    path: str
    format: str
    takes: str
    gives: str
    difference: float


class Deployed(nn.Module):
    """A finished network as `predict` uses it: the views' mean, then probabilities or values in the targets' units.

    Args:
        network: in test mode.
        about: its record.
    """

    def __init__(self, network: nn.Module, about: ModelRecord) -> None:
        super().__init__()
        self.network = network
        self._about = about
        self._views = views_of(about.hyperparameters.augmentation)

    def forward(self, raw: Tensor) -> Tensor:
        """Uint8 pictures (batch, height, width, channels), or encoded rows (batch, columns), to what is predicted."""
        seen = [raw] if self._views is None else list(self._views(raw))
        total = torch.stack([self.network(view).float() for view in seen]).mean(dim=0)
        if self._about.output.task == "regression":
            return unstandardize(total, self._about.output)
        return at_temperature(total, self._about.temperature).float()


def export(model: Predictor, path: Path, *, format: str) -> Exported:  # noqa: A002 - the option's name
    """Write a finished model as one file, and run what was written against the network.

    Args:
        model: as `fit` returns it or `load` opens it.
        path: of the file; its folder must exist.
        format: "onnx" (one file for onnxruntime), "torch-export" (a .pt2 program for torch.export.load) or
            "safetensors" (the weights, with the model's record as metadata).
    Returns:
        What was written, and how far its outputs are from the network's.
    Raises:
        SettingError: there is no such format.
        MissingExtraError: ONNX without its packages.
        ModelError: the network cannot be turned into a graph, or the graph computes something else.
        StoreError: the file cannot be written.
    """
    if format not in FORMATS:
        raise SettingError(f'`format` must be a known one, but got "{format}". {suggestion(format, FORMATS)}')
    network = model.network.eval().cpu()
    deployed = Deployed(network, model.about).eval()
    # Under another name until it has been run: what stood there before is not lost to a graph that fails.
    temporary = path.with_name(f".{path.stem}.tmp{SUFFIXES[format]}")
    try:
        difference = FORMATS[format](deployed, model, temporary)
        if difference > LARGEST_DIFFERENCE:
            raise ModelError(
                f"An exported graph must compute what the network does, but its outputs differ by {difference:.2g} on "
                f"made inputs. Nothing was kept; try --format "
                f"{'torch-export' if format == 'onnx' else 'safetensors'}."
            )
        with writing(path):
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return Exported(
        path=str(path), format=format, takes=_takes(model), gives=_gives(model.about), difference=difference
    )


def _onnx(deployed: Deployed, model: Predictor, path: Path) -> float:
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        raise MissingExtraError("Export to ONNX", "onnx")
    import onnx
    import onnxruntime

    name = "pixels" if model.about.input.kind == "image" else "rows"
    output = "values" if model.about.output.task == "regression" else "probabilities"
    program = _graph(deployed, model.about)
    with _quiet():
        made = torch.onnx.export(
            program, dynamo=True, input_names=[name], output_names=[output], external_data=False, verbose=False
        )
    if made is None:
        raise ModelError("The network cannot be written as ONNX. Use --format torch-export.")
    found = made.model_proto
    onnx.helper.set_model_props(found, {key: _text(value) for key, value in _metadata(model).items()})
    data = found.SerializeToString()
    write_atomically(path, data)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return _difference(deployed, model.about, lambda raw: torch.from_numpy(session.run(None, {name: raw.numpy()})[0]))


def _torch_export(deployed: Deployed, model: Predictor, path: Path) -> float:
    program = _graph(deployed, model.about)
    with writing(path), _quiet():
        torch.export.save(program, path, extra_files={"trainwell.json": to_json(_metadata(model))})
        loaded = torch.export.load(path).module()
    return _difference(deployed, model.about, loaded)


def _safetensors(deployed: Deployed, model: Predictor, path: Path) -> float:
    tensors = {name: each.detach().contiguous().clone() for name, each in deployed.network.state_dict().items()}
    write_atomically(path, save(tensors, metadata={key: _text(value) for key, value in _metadata(model).items()}))
    return float("nan")


FORMATS: dict[str, Callable[[Deployed, Predictor, Path], float]] = {
    "onnx": _onnx,
    "torch-export": _torch_export,
    "safetensors": _safetensors,
}
"""Name -> what writes the file and says how far its outputs are from the network's."""

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}


def _graph(deployed: Deployed, about: ModelRecord) -> torch.export.ExportedProgram:
    # Two samples: a batch of one would be taken for a fixed size.
    example = made_inputs(about, 2)
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(deployed, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    except Exception as error:  # the user's network may do anything
        raise ModelError(
            f"The network must be a graph of tensor operations to be exported, but: {one_line(error)}. "
            "Use --format safetensors."
        ) from error


def made_inputs(about: ModelRecord, samples: int) -> Tensor:
    """Inputs of the right shape, drawn: pixels of any value; numbers around zero and gaps; codes of any category."""
    draw = generator(0, "export")
    layout = about.input
    if layout.kind == "image":
        return torch.randint(0, 256, (samples, *layout.shape), dtype=torch.uint8, generator=draw)
    numbers = torch.randn(samples, layout.numbers, generator=draw)
    numbers[torch.rand(numbers.shape, generator=draw) < 0.1] = float("nan")
    codes = [torch.randint(0, count, (samples, 1), generator=draw).float() for count in layout.cardinalities]
    return torch.cat([numbers, *codes], dim=1)


def _difference(deployed: Deployed, about: ModelRecord, run: Callable[[Tensor], Tensor]) -> float:
    worst = 0.0
    # A batch of one, too: that it is any is what a graph gets wrong most easily.
    for samples in (CHECKED, 1):
        raw = made_inputs(about, samples)
        with torch.no_grad():
            gap = (run(raw).double() - deployed(raw).double()).abs()
        if about.output.task == "regression":
            gap /= torch.tensor(about.output.stds, dtype=torch.float64)
        # What is no number in one of them differs without bound.
        worst = max(worst, gap.nan_to_num(nan=math.inf).max().item())
    return worst


def _metadata(model: Predictor) -> dict[str, Any]:
    about = model.about
    return {
        "schema": 1,
        "made_by": f"trainwell {about.version}",
        "task": about.output.task,
        "names": list(about.output.names),
        "takes": _takes(model),
        "gives": _gives(about),
        "encoder": about.encoder,
        "model": about,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)


def _takes(model: Predictor) -> str:
    layout = model.about.input
    if layout.kind == "image":
        return f"uint8 pixels (batch, {layout.height}, {layout.width}, {layout.channels})"
    columns = ", ".join(model.encoder.names) if isinstance(model.encoder, TableEncoder) else ""
    return f"float32 rows (batch, {layout.shape[0]}), encoded: {columns}"


def _gives(about: ModelRecord) -> str:
    if about.output.task == "regression":
        return f"float32 values (batch, {about.output.size}) in the targets' units"
    return f"float32 probabilities (batch, {about.output.size})"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters print and warn of on their way: what comes out is run and compared."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        said = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
