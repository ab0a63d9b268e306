"""A training's state on disk: safetensors alone, no pickle."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.core.errors import StoreError
from trainwell.core.files import write_atomically
from trainwell.training.averaging import Averaging


def save_state(path: Path, *, model: nn.Module, optimizer: Optimizer, averaging: Averaging | None, step: int) -> str:
    """Write what a training needs to go on, under a temporary name, then rename.

    Args:
        path: of the checkpoint.
        model: its parameters and buffers.
        optimizer: its state; its settings come from the TrialSpec.
        averaging: the averaged weights, where there are any.
        step: optimizer steps taken.
    Returns:
        The file's sha256.
    """
    tensors: dict[str, Tensor] = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    numbers: dict[str, float] = {}
    for index, entry in optimizer.state_dict()["state"].items():
        for name, value in entry.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            elif value is not None:
                numbers[f"{index}.{name}"] = value
    if averaging is not None:
        tensors |= {f"averaging.{name}": tensor for name, tensor in averaging.tensors.items()}
    about = {"step": step, "optimizer": numbers, "averaged": averaging.count if averaging else 0}
    whole = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    data = save(whole, metadata={"trainwell": json.dumps(about)})
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def load_state(path: Path, *, model: nn.Module, optimizer: Optimizer, averaging: Averaging | None) -> int:
    """Read what `save_state` wrote into a model, optimizer and average built from the same TrialSpec.

    Args:
        path: of the checkpoint.
        model: filled.
        optimizer: filled.
        averaging: filled.
    Returns:
        Optimizer steps taken.
    Raises:
        StoreError: the file cannot be read or is another training's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["trainwell"])
            if about.keys() != {"step", "optimizer", "averaged"}:
                raise KeyError("trainwell")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise StoreError(f"The checkpoint {path} cannot be read: {error}.") from error
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise StoreError(f"A checkpoint must say which step it is of, but {path} does not: it is damaged.") from error

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    averaged = part("averaging.")
    try:
        model.load_state_dict(part("model."))
        if averaging is not None and averaged.keys() != averaging.tensors.keys():
            raise KeyError("averaging")
    except (RuntimeError, KeyError) as error:
        raise StoreError(f"A checkpoint must be of the network that goes on, but {path} is of another one.") from error
    state: dict[int, dict[str, Tensor | float]] = {}
    for key, value in (part("optimizer.") | about["optimizer"]).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    _lay_out_like(optimizer, state)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    if averaging is not None:
        averaging.load(averaged, about["averaged"])
    return int(about["step"])


def _lay_out_like(optimizer: Optimizer, state: dict[int, dict[str, Tensor | float]]) -> None:
    """Give moments the memory layout of their parameters: fused optimizers pair the two as they are stored."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, entry in state.items():
        for name, value in entry.items():
            if isinstance(value, Tensor) and value.shape == parameters[index].shape:
                entry[name] = torch.empty_like(parameters[index], dtype=value.dtype, device="cpu").copy_(value)


def load_weights(path: Path, model: nn.Module, *, averaged: bool) -> None:
    """Read only the network out of a checkpoint: the averaged weights, or the last ones."""
    prefix = "averaging." if averaged else "model."
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {
                name.removeprefix(prefix): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 - no mapping
                if name.startswith(prefix)
            }
    except (OSError, SafetensorError) as error:
        raise StoreError(f"The checkpoint {path} cannot be read: {error}.") from error
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise StoreError(f"A checkpoint must be of the network that is read, but {path} is of another one.") from error


def tensors_hash(model: nn.Module) -> str:
    """BLAKE2b of a network's parameters and buffers, names and bits."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
