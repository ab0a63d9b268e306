"""models/folder.py: a finished model on disk, and what is refused of it."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from trainwell.core.errors import ModelError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.models.folder import ModelRecord, load_weights_into, read_model_record, save_model
from trainwell.training.state import tensors_hash


@pytest.fixture
def about() -> ModelRecord:
    return ModelRecord(
        hyperparameters=Hyperparameters(architecture=Architecture(name="mlp")),
        input=InputLayout(kind="table", numbers=4),
        output=OutputLayout(task="classification", size=3, names=("a", "</script>", "é")),
        encoder={"columns": [{"name": "x", "missing": "NaN"}]},
        metric="accuracy",
        value=math.nan,
    )


def network(outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, outputs))


def test_a_model_comes_back_bit_for_bit_and_in_test_mode(tmp_path: Path, about: ModelRecord) -> None:
    model = network()
    model(torch.randn(8, 4))
    save_model(tmp_path / "model", model, about)
    assert sorted(entry.name for entry in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]
    read = read_model_record(tmp_path / "model")
    assert repr(read.encoder) == repr(about.encoder)
    assert read.output == about.output
    assert math.isnan(read.value)
    loaded = load_weights_into(tmp_path / "model", read, network())
    assert tensors_hash(loaded) == tensors_hash(model)
    assert not loaded.training


def test_a_model_is_replaced_as_a_whole(tmp_path: Path, about: ModelRecord) -> None:
    save_model(tmp_path, network(), about)
    second = network()
    save_model(tmp_path, second, about)
    assert tensors_hash(load_weights_into(tmp_path, read_model_record(tmp_path), network())) == tensors_hash(second)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is damaged: it is no JSON object"),
        ("[]", "is damaged: it is no JSON object"),
        ('{"schema": 2}', "must have schema 1, but has 2"),
        ("{}", "must have schema 1, but has None"),
        ('{"schema": 1}', r"is damaged\. This is no ModelRecord record"),
        ('\x80"', "is damaged"),
    ],
)
def test_a_damaged_record_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=sentence) as refused:
        read_model_record(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_record_of_before_has_temperature_one(tmp_path: Path, about: ModelRecord) -> None:
    save_model(tmp_path, network(), dataclasses.replace(about, temperature=0.5))
    assert read_model_record(tmp_path).temperature == 0.5
    path = tmp_path / "model.json"
    plain = json.loads(path.read_text())
    del plain["temperature"]
    path.write_text(json.dumps(plain))
    assert read_model_record(tmp_path).temperature == 1.0


@pytest.mark.parametrize("temperature", [0.0, -1.0, "NaN", "Infinity"])
def test_a_temperature_that_is_none_is_refused(tmp_path: Path, about: ModelRecord, temperature: float | str) -> None:
    save_model(tmp_path, network(), about)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": temperature}))
    with pytest.raises(ModelError, match=r"is damaged: `temperature > 0` must hold"):
        read_model_record(tmp_path)


def test_what_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must be a model folder, but .*model\.json cannot be read"):
        read_model_record(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
def test_damaged_weights_are_refused(tmp_path: Path, about: ModelRecord, damage: str) -> None:
    save_model(tmp_path, network(), about)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(data) if damage == "flipped" else bytes(data[:-4]))
    with pytest.raises(ModelError, match=r"must have the sha256 that model\.json names|cannot be read") as refused:
        load_weights_into(tmp_path, read_model_record(tmp_path), network())
    assert "\n" not in str(refused.value)


def test_another_networks_weights_are_refused(tmp_path: Path, about: ModelRecord) -> None:
    save_model(tmp_path, network(outputs=2), about)
    with pytest.raises(ModelError, match=r"is of another network than model\.json describes\. Fit again\."):
        load_weights_into(tmp_path, read_model_record(tmp_path), network())


def test_an_unknown_field_is_another_versions(tmp_path: Path, about: ModelRecord) -> None:
    save_model(tmp_path, network(), about)
    found = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(found | {"code": "import os"}))
    with pytest.raises(ModelError, match="code: "):
        read_model_record(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path, about: ModelRecord) -> None:
    from trainwell.core.errors import StoreError

    (tmp_path / "model").write_text("")
    with pytest.raises(StoreError, match="model cannot be written"):
        save_model(tmp_path / "model", network(), about)
