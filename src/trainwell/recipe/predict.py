"""A finished model on new files, rows and arrays: the same decoding, the same preprocessing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainwell.core.errors import DataError, ModelError
from trainwell.core.jsonio import from_json, to_json
from trainwell.core.records.data import LeftOut
from trainwell.core.records.record import record
from trainwell.data.arrays import as_array, frame_of_rows, is_frame
from trainwell.data.encoders import ImageEncoder, TableEncoder
from trainwell.models.build import Factory, build_model
from trainwell.models.folder import ModelRecord, load_weights_into, read_model_record
from trainwell.models.userfile import file_sha256, is_user_file
from trainwell.search.augment import views_of
from trainwell.training.calibration import at_temperature
from trainwell.training.objective import unstandardize
from trainwell.training.observe import outputs


@record
class Prediction:
    """What the model says of one file or row.

    Attributes:
        name: the file, or "row 17".
        label: class name (classification; else empty).
        probability: of that class, calibrated where a temperature could be fitted (classification; else NaN).
        values: by target column, in its units (regression; else empty).
    """

    name: str
    label: str = ""
    probability: float = float("nan")
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """What the model says, and what could not be read."""

    made: tuple[Prediction, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A finished model.

    Attributes:
        network: in test mode.
        about: its record.
        encoder: files or rows to inputs.
    """

    network: nn.Module
    about: ModelRecord
    encoder: ImageEncoder | TableEncoder

    def predict(self, source: Any) -> list[Prediction]:
        """Predict for arrays (samples, ...), a DataFrame, or paths.

        Args:
            source: an array or tensor of pictures or rows, a DataFrame, a path, or a list of paths.
        Returns:
            One a sample, in order.
        Raises:
            DataError: something cannot be read; all such files are named.
        """
        found = self.predict_files([source]) if isinstance(source, str | Path) else self._predict_any(source)
        if found.left_out:
            raise DataError("; ".join(f"{each.name}: {each.why}" for each in found.left_out))
        return list(found.made)

    def predict_files(self, paths: Sequence[str | Path]) -> Predictions:
        """Predict for files: pictures (folders of them, too), or tables."""
        if isinstance(self.encoder, ImageEncoder):
            encoded = self.encoder.encode_files(paths)
            return Predictions(self._named(encoded.inputs, encoded.names), encoded.left_out)
        made: tuple[Prediction, ...] = ()
        for path in paths:
            encoded = self.encoder.encode_table(path)
            names = encoded.names if len(paths) == 1 else tuple(f"{path}: {name}" for name in encoded.names)
            made += self._named(encoded.inputs, names)
        return Predictions(made, ())

    def _predict_any(self, source: Any) -> Predictions:
        if isinstance(source, list | tuple) and source and all(isinstance(each, str | Path) for each in source):
            return self.predict_files(source)
        if isinstance(self.encoder, ImageEncoder):
            inputs = self.encoder.encode_arrays(source)
            return Predictions(self._named(inputs, tuple(f"row {i + 1}" for i in range(len(inputs)))), ())
        encoded = self.encoder.encode_table(source if is_frame(source) else frame_of_rows(as_array(source)))
        return Predictions(self._named(encoded.inputs, encoded.names), encoded.left_out)

    def _named(self, inputs: Tensor, names: Sequence[str]) -> tuple[Prediction, ...]:
        if not len(inputs):
            return ()
        found = outputs(
            self.network, inputs, torch.arange(len(inputs)), views=views_of(self.about.hyperparameters.augmentation)
        )
        if self.about.output.task == "regression":
            values = unstandardize(found, self.about.output).tolist()
            return tuple(Prediction(name=name, values=tuple(row)) for name, row in zip(names, values, strict=True))
        label = found.argmax(dim=1)
        confidence = at_temperature(found, self.about.temperature).gather(1, label[:, None])[:, 0]
        classes = self.about.output.names
        return tuple(
            Prediction(name=name, label=classes[i], probability=p)
            for name, i, p in zip(names, label.tolist(), confidence.tolist(), strict=True)
        )


def load_predictor(folder: Path, *, model: str | None = None, factory: Factory | None = None) -> Predictor:
    """Open a finished model.

    Args:
        folder: of a run, or its `model/`.
        model: file.py:function, where the network is the user's own; its hash is checked.
        factory: makes a network that existed only in Python.
    Raises:
        ModelError: it is none, damaged, or needs its file or function.
    """
    if (folder / "model").is_dir():
        folder = folder / "model"
    about = read_model_record(folder)
    name = about.hyperparameters.architecture.name
    if about.model_sha256:
        wanted = model or name
        if not is_user_file(wanted):
            raise ModelError(f"The model is {name}: give its file again, --model file.py:function.")
        if file_sha256(wanted) != about.model_sha256:
            raise ModelError(f"The model needs the file it was trained with, but {wanted} has changed. Restore it.")
        point = about.hyperparameters
        if wanted != name:
            point = replace(point, architecture=replace(point.architecture, name=wanted))
    else:
        point = about.hyperparameters
        if name.startswith("python:") and factory is None:
            raise ModelError(f"The model is {name}: give the function that builds it again.")
    network = build_model(
        point, input=about.input, output=about.output, factory=factory, model_sha256=about.model_sha256
    )
    load_weights_into(folder, about, network)
    return Predictor(network=network, about=about, encoder=encoder_of(about))


def encoder_of(about: ModelRecord) -> ImageEncoder | TableEncoder:
    """The encoder that a model's record holds."""
    text = to_json(about.encoder)
    return from_json(ImageEncoder, text) if about.input.kind == "image" else from_json(TableEncoder, text)
