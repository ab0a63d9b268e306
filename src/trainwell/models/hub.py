"""Any image network of the Hugging Face hub, timm's or transformers', from a folder or the local cache; no code is run.

A repository's weights must be safetensors: a pickle is never loaded. Where it is in the cache no network is needed.
"""

import dataclasses
import hashlib
import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from trainwell.core.errors import MissingExtraError, ModelError, one_line

PREFIX = "hub:"
"""What such a network's name begins with; the rest is ORG/NAME, or a folder."""
WEIGHTS = "model.safetensors"
FILES = ("config.json", "preprocessor_config.json", WEIGHTS)
RESAMPLING = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which preprocessor_config.json holds."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubNetwork:
    """A network of the hub.

    Attributes:
        network: (samples, 3, size, size) to (samples, features).
        features: how many.
        size: of a picture's sides, pixels.
        mean: of each channel, in 0 to 1.
        std: of each channel, in 0 to 1.
        interpolation: bilinear or bicubic.
        digest: of the weights; empty where they were not read.
    """

    network: nn.Module
    features: int
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    digest: str = ""


def load_hub_network(name: str, *, weights: bool = True) -> HubNetwork:
    """A network by its name on the hub, or from a folder with the same files.

    Args:
        name: hub:ORG/NAME, or hub:FOLDER.
        weights: read them too; False where they are loaded from a finished model.
    Returns:
        The network without its output layer, in test mode.
    Raises:
        MissingExtraError: the extra `hub` is not installed.
        ModelError: there is no such network here and it cannot be fetched, or it is none of pictures.
    """
    folder = _folder(name)
    config = _json(folder / "config.json", name)
    build = _from_timm if "architecture" in config else _from_transformers
    try:
        made = build(folder, config, weights=weights)
    except (MissingExtraError, ModelError):
        raise
    except Exception as error:  # timm and transformers raise whatever a wrong configuration leads them to
        raise ModelError(
            f'"{name}" must be an image network of timm or transformers, but building it raised '
            f"{type(error).__name__}: {one_line(error)}."
        ) from error
    network = made.network.eval()
    return dataclasses.replace(made, network=network, features=_features(network, made.size, name))


class Pooled(nn.Module):
    """A network of transformers with one row of features a picture.

    The class token where it has one, else the mean over places.

    Args:
        model: whose `last_hidden_state` is pooled.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.has_class_token = any(name.endswith("cls_token") for name, _ in model.named_parameters())

    def forward(self, x: Float[Tensor, "samples 3 height width"]) -> Float[Tensor, "samples features"]:
        """Features of preprocessed pixels."""
        state: Tensor = self.model(pixel_values=x).last_hidden_state
        if state.ndim == 4:
            return state.mean(dim=(2, 3))
        return state[:, 0] if self.has_class_token else state.mean(dim=1)


def _folder(name: str) -> Path:
    wanted = name.removeprefix(PREFIX)
    if Path(wanted).is_dir():
        return Path(wanted)
    hub = _library("huggingface_hub", name)
    for local in (True, False):
        try:
            found: str = hub.snapshot_download(wanted, allow_patterns=list(FILES), local_files_only=local)
        except Exception as error:  # no such repository, no network, no right to it: the hub has an error for each
            if not local:
                raise ModelError(
                    f'"{name}" must be in the local cache or on the hub, but it is not here and could not be fetched: '
                    f"{type(error).__name__}. Check the name and the connection."
                ) from error
            continue
        if (Path(found) / "config.json").is_file():
            return Path(found)
    raise ModelError(f'"{name}" has no config.json, so it is no network of timm or transformers. Take another.')


def _library(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f'The backbone "{name}"', "hub") from error
    except RuntimeError as error:
        # torchvision's way to say that it was built for another torch.
        raise ModelError(
            f'The backbone "{name}" needs {module}, but importing it raised: {one_line(error)}. '
            "Install a torchvision that fits this torch."
        ) from error


def _from_timm(folder: Path, config: dict[str, Any], *, weights: bool) -> HubNetwork:
    timm = _library("timm", config["architecture"])
    given = {**config.get("model_args", {}), "num_classes": 0}
    network = timm.create_model(config["architecture"], pretrained=False, **given)
    digest = ""
    if weights:
        tensors, digest = _weights(folder)
        wanted = network.state_dict()
        found = {key: tensor for key, tensor in tensors.items() if key in wanted}
        wrong = [key for key, tensor in wanted.items() if key not in found or found[key].shape != tensor.shape]
        _refuse([key for key in wrong if not key.endswith("num_batches_tracked")], folder)
        network.load_state_dict(found, strict=False)
    about = {**network.pretrained_cfg, **config.get("pretrained_cfg", {})}
    interpolation = about.get("interpolation", "bicubic")
    return HubNetwork(
        network=network,
        features=0,
        size=max(about["input_size"][1:]),
        mean=_three(about.get("mean", IMAGENET_MEAN)),
        std=_three(about.get("std", IMAGENET_STD)),
        interpolation=interpolation if interpolation in ("bilinear", "bicubic") else "bicubic",
        digest=digest,
    )


def _from_transformers(folder: Path, config: dict[str, Any], *, weights: bool) -> HubNetwork:
    transformers = _library("transformers", config.get("model_type", "transformers"))
    digest = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = {"local_files_only": True, "trust_remote_code": False}
        if weights:
            _, digest = _weights(folder)
            # Names of weights have changed over the years: the library knows which became which.
            made, told = transformers.AutoModel.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, **local
            )
            # Features are taken before a pooling of the network's own, which classifiers are saved without.
            _refuse([key for key in sorted(told["missing_keys"]) if not key.startswith("pooler.")], folder)
        else:
            made = transformers.AutoModel.from_config(
                transformers.AutoConfig.from_pretrained(folder, **local), trust_remote_code=False
            )
    path = folder / "preprocessor_config.json"
    about = _json(path, path.name) if path.is_file() else {}
    size = about.get("crop_size") or about.get("size") or config.get("image_size") or 224
    if isinstance(size, dict):
        size = max(size.values())
    return HubNetwork(
        network=Pooled(made),
        features=0,
        size=int(max(size) if isinstance(size, list) else size),
        mean=_three(about.get("image_mean", IMAGENET_MEAN)),
        std=_three(about.get("image_std", IMAGENET_STD)),
        interpolation=RESAMPLING.get(about.get("resample", 3), "bicubic"),
        digest=digest,
    )


def _weights(folder: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors by name, and the file's SHA-256."""
    try:
        data = (folder / WEIGHTS).read_bytes()
        return load(data), hashlib.sha256(data).hexdigest()
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(
            f"A network's weights must be in {WEIGHTS}, but {folder} has none that can be read. A pickle is never "
            "loaded: take a repository with safetensors."
        ) from error


def _refuse(missing: list[str], folder: Path) -> None:
    if missing:
        raise ModelError(
            f"A network's weights must fit its configuration, but {missing[0]} is missing in {folder / WEIGHTS}, or of "
            "another shape. Take another revision."
        )


def _features(network: nn.Module, size: int, name: str) -> int:
    try:
        with torch.no_grad():
            found = network(torch.zeros(1, 3, size, size))
    except Exception as error:  # a network of another kind may raise anything
        raise ModelError(
            f'"{name}" must take pictures of {size} x {size}, but raised {type(error).__name__}: {one_line(error)}.'
        ) from error
    if not isinstance(found, Tensor) or found.ndim != 2:
        raise ModelError(f'"{name}" must give one row of features a picture, but gives something else. Take another.')
    return found.shape[1]


def _three(values: Any) -> tuple[float, float, float]:
    numbers = [float(value) for value in values]
    # Networks of grey pictures have one.
    first, second, third = numbers if len(numbers) == 3 else numbers[:1] * 3
    return first, second, third


def _json(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f'"{name}" must have a {path.name} that can be read. Fetch it again.') from error
    if not isinstance(found, dict):
        raise ModelError(f'"{name}" must have a JSON object in {path.name}, but it holds something else.')
    return found
