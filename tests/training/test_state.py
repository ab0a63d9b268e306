"""training/state.py: safetensors alone; what is another network's or damaged is refused."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from trainwell.core.errors import StoreError
from trainwell.training.averaging import Averaging
from trainwell.training.state import load_state, load_weights, save_state, tensors_hash


def trained(parts: Any, *, averaging: bool = True) -> tuple[nn.Module, torch.optim.Optimizer, Averaging | None]:
    model = parts.network(dropout=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    average = Averaging(model, horizon=3) if averaging else None
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(model(parts.inputs), parts.targets).backward()
        optimizer.step()
        if average is not None:
            average.update()
    return model, optimizer, average


def test_the_file_is_safetensors_and_its_sha256_is_returned(tmp_path: Path, parts: Any) -> None:
    model, optimizer, averaging = trained(parts)
    path = tmp_path / "a.safetensors"
    assert (
        save_state(path, model=model, optimizer=optimizer, averaging=averaging, step=3)
        == hashlib.sha256(path.read_bytes()).hexdigest()
    )
    names = set(load_file(path))
    assert {"model.0.weight", "model.1.running_mean", "optimizer.0.exp_avg", "averaging.4.bias"} <= names
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["trainwell"])
    assert about["step"] == 3
    assert about["averaged"] == 3
    assert b"pickle" not in path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_everything_comes_back(tmp_path: Path, parts: Any) -> None:
    model, optimizer, averaging = trained(parts)
    path = tmp_path / "a.safetensors"
    save_state(path, model=model, optimizer=optimizer, averaging=averaging, step=3)
    other = parts.network(dropout=0.0)
    second = torch.optim.AdamW(other.parameters(), lr=0.1)
    average = Averaging(other, horizon=3)
    assert load_state(path, model=other, optimizer=second, averaging=average) == 3
    assert tensors_hash(other) == tensors_hash(model)
    assert averaging is not None
    assert all(torch.equal(average.tensors[name], tensor) for name, tensor in averaging.tensors.items())
    before, after = optimizer.state_dict()["state"], second.state_dict()["state"]
    assert all(torch.equal(before[i][name], after[i][name]) for i in before for name in before[i])
    # Saved again it is the same file: nothing is lost on the way.
    again = tmp_path / "b.safetensors"
    save_state(again, model=other, optimizer=second, averaging=average, step=3)
    assert load_file(again).keys() == load_file(path).keys()
    assert all(torch.equal(value, load_file(path)[name]) for name, value in load_file(again).items())


def test_weights_alone_are_the_last_or_the_averaged_ones(tmp_path: Path, parts: Any) -> None:
    model, optimizer, averaging = trained(parts)
    path = tmp_path / "a.safetensors"
    save_state(path, model=model, optimizer=optimizer, averaging=averaging, step=3)
    other = parts.network()
    load_weights(path, other, averaged=False)
    assert torch.equal(other.state_dict()["0.weight"], model.state_dict()["0.weight"])
    load_weights(path, other, averaged=True)
    assert averaging is not None
    assert torch.equal(other.state_dict()["0.weight"], averaging.tensors["0.weight"])


def test_another_networks_checkpoint_is_refused_in_one_sentence(tmp_path: Path, parts: Any) -> None:
    model, optimizer, averaging = trained(parts)
    path = tmp_path / "a.safetensors"
    save_state(path, model=model, optimizer=optimizer, averaging=averaging, step=3)
    other = nn.Linear(4, 3)
    sentence = rf"^A checkpoint must be of the network that .*, but {re.escape(str(path))} is of another one\.$"
    with pytest.raises(StoreError, match=sentence) as refused:
        load_state(path, model=other, optimizer=torch.optim.AdamW(other.parameters()), averaging=None)
    assert "\n" not in str(refused.value)
    with pytest.raises(StoreError, match=sentence):
        load_weights(path, other, averaged=False)


def test_a_checkpoint_without_average_cannot_go_on_with_one(tmp_path: Path, parts: Any) -> None:
    model, optimizer, _ = trained(parts, averaging=False)
    path = tmp_path / "a.safetensors"
    save_state(path, model=model, optimizer=optimizer, averaging=None, step=3)
    with pytest.raises(StoreError, match="is of another one"):
        load_state(path, model=model, optimizer=optimizer, averaging=Averaging(model, horizon=3))
    with pytest.raises(StoreError, match="is of another one"):
        load_weights(path, model, averaged=True)


@pytest.mark.parametrize("damage", ["truncated", "empty", "no safetensors", "gone", "no step"])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, parts: Any, damage: str) -> None:
    model, optimizer, averaging = trained(parts)
    path = tmp_path / "a.safetensors"
    save_state(path, model=model, optimizer=optimizer, averaging=averaging, step=3)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "no step":
        save_file(load_file(path), path)
    else:
        path.write_bytes({"truncated": data[:-100], "empty": b"", "no safetensors": b"\x80\x04." * 100}[damage])
    before = tensors_hash(model)
    with pytest.raises(StoreError, match=re.escape(str(path))) as refused:
        load_state(path, model=model, optimizer=optimizer, averaging=averaging)
    assert "\n" not in str(refused.value)
    assert tensors_hash(model) == before


def test_a_pickle_is_never_loaded(tmp_path: Path, parts: Any) -> None:
    model, optimizer, averaging = trained(parts)
    path = tmp_path / "a.safetensors"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("executed",))

    torch.save(Trap(), path)
    with pytest.raises(StoreError, match="cannot be read"):
        load_state(path, model=model, optimizer=optimizer, averaging=averaging)


def test_the_hash_sees_names_and_bits() -> None:
    model = nn.Linear(2, 2)
    before = tensors_hash(model)
    assert tensors_hash(model) == before
    with torch.no_grad():
        model.bias[0] = torch.nextafter(model.bias[0], torch.tensor(9.0))
    assert tensors_hash(model) != before
