"""A finished model on disk: weights in safetensors, everything else in one JSON file, never code."""

import hashlib
import json
import math
from dataclasses import field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from trainwell.core.errors import ModelError, StoreError
from trainwell.core.files import reason, write_atomically, writing
from trainwell.core.jsonio import from_json, to_json
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.core.records.record import record
from trainwell.core.version import VERSION

WEIGHTS = "model.safetensors"
ABOUT = "model.json"


@record
class ModelRecord:
    """`model.json`.

    Attributes:
        schema: 1.
        version: of trainwell that wrote it.
        hyperparameters: what the network was built and trained with.
        input: its input.
        output: its output: class names, or the targets' means and deviations.
        encoder: how files or rows become inputs, as JSON of the data's encoder.
        model_sha256: of the user's model file; empty where the network is trainwell's own.
        weights_sha256: of model.safetensors.
        metric: name of the metric on the test part.
        value: of it.
        temperature: what logits are divided by before probabilities are said; 1 leaves them as they are.
    """

    schema: int = 1
    version: str = VERSION
    hyperparameters: Hyperparameters
    input: InputLayout
    output: OutputLayout
    encoder: dict[str, Any] = field(default_factory=dict)
    model_sha256: str = ""
    weights_sha256: str = ""
    metric: str = ""
    value: float = 0.0
    temperature: float = 1.0


def save_model(folder: Path, model: nn.Module, about: ModelRecord) -> None:
    """Write a model folder; each of its two files is whole or absent.

    Args:
        folder: made where it does not exist.
        model: its parameters and buffers.
        about: the rest; the weights' hash is filled in.
    """
    import dataclasses

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    data = save(tensors)
    about = dataclasses.replace(about, weights_sha256=hashlib.sha256(data).hexdigest())
    write_atomically(folder / WEIGHTS, data)
    write_atomically(folder / ABOUT, to_json(about, indent=1).encode())


def read_model_record(folder: Path) -> ModelRecord:
    """What is known of a model folder.

    Raises:
        ModelError: it is none, or another version's.
    """
    path = folder / ABOUT
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{folder} must be a model folder, but {path} cannot be read: {reason(error)}.") from error
    try:
        schema = json.loads(text).get("schema")
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged: it is no JSON object. Fit again, or restore the file.") from error
    if schema != 1:
        raise ModelError(f"{path} must have schema 1, but has {schema!r}: another version of trainwell wrote it.")
    try:
        about = from_json(ModelRecord, text)
    except StoreError as error:
        raise ModelError(f"{path} is damaged. {error}") from error
    if not 0 < about.temperature < math.inf:
        raise ModelError(f"{path} is damaged: `temperature > 0` must hold, but it is {about.temperature}. Fit again.")
    return about


def load_weights_into(folder: Path, about: ModelRecord, model: nn.Module) -> nn.Module:
    """Fill a network built from a model's record with its weights.

    Raises:
        ModelError: the weights are missing, damaged, or another network's.
    """
    path = folder / WEIGHTS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {reason(error)}.") from error
    found = hashlib.sha256(data).hexdigest()
    if found != about.weights_sha256:
        raise ModelError(
            f"{path} must have the sha256 that {ABOUT} names ({about.weights_sha256[:12]}), but has {found[:12]}: "
            "it was changed or damaged. Fit again, or restore the file."
        )
    try:
        model.load_state_dict(load(data))
    except (RuntimeError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path} is of another network than {ABOUT} describes. Fit again.") from error
    return model.eval()
