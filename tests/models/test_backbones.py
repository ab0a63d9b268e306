"""Pretrained networks: the published weights, as they were trained to be used, or one clear sentence."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from trainwell.core.errors import MissingExtraError, ModelError, SettingError
from trainwell.models import backbones
from trainwell.models.backbones import BACKBONES, available_backbones, load_backbone
from trainwell.models.efficientnet_lite import VARIANTS, EfficientNetLite, SamePad

ours = pytest.mark.skipif("efficientnet_lite0" not in available_backbones(), reason="the extra `pretrained` is missing")


def natural_pictures() -> Tensor:
    """Crops of two photographs, (samples, 3, 224, 224) in 0 to 255."""
    from sklearn.datasets import load_sample_images

    found = []
    for photograph in load_sample_images().images:
        picture = torch.tensor(photograph).permute(2, 0, 1)[None].float()
        for top, left in ((0, 0), (0, 200), (100, 100), (100, 300)):
            crop = picture[:, :, top : top + 320, left : left + 320]
            found.append(nn.functional.interpolate(crop, size=(224, 224), mode="bicubic", antialias=True))
    return torch.cat(found).clamp(0, 255)


@ours
def test_the_pixels_it_wants_are_those_it_was_trained_on() -> None:
    """The first batch norm remembers the variances of the pretraining: only the right scale of pixels gives them."""
    backbone = load_backbone("efficientnet_lite0")
    network = backbone.network
    assert isinstance(network, EfficientNetLite)
    norm = network.stem[2]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    remembered, pictures = norm.running_var, natural_pictures()

    def excess(mean: Tensor, std: Tensor) -> float:
        seen: list[Tensor] = []
        handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network((pictures - mean[:, None, None]) / std[:, None, None])
        handle.remove()
        return abs(float((seen[0].var(dim=(0, 2, 3)) / remembered).log().median()))

    right = excess(torch.tensor(backbone.sees.mean), torch.tensor(backbone.sees.std))
    imagenet = excess(
        255 * torch.tensor([0.485, 0.456, 0.406]),
        255 * torch.tensor([0.229, 0.224, 0.225]),
    )
    assert right < 0.5
    assert imagenet > 1.0


@ours
def test_the_features_tell_two_photographs_apart() -> None:
    backbone = load_backbone("efficientnet_lite0")
    pixels = (natural_pictures() - 127.0) / 128.0
    features = nn.functional.normalize(backbone.network(pixels), dim=1)
    assert features.shape == (8, backbone.features)
    likeness = features @ features.T
    same = torch.cat([likeness[:4, :4].flatten(), likeness[4:, 4:].flatten()])
    assert float(same.min()) > float(likeness[:4, 4:].max())


@ours
def test_the_packages_own_network_says_the_same() -> None:
    theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0").eval()
    about = BACKBONES["efficientnet_lite0"]
    path = backbones._weights_file(about)
    assert path is not None
    theirs.load_state_dict(torch.load(path, weights_only=True))
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = theirs.extract_features(x).mean(dim=(2, 3))
    torch.testing.assert_close(load_backbone("efficientnet_lite0").network(x), wanted)


@ours
def test_it_is_frozen_and_in_test_mode() -> None:
    network = load_backbone("efficientnet_lite0").network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@ours
def test_kept_weights_are_the_same_and_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    first = load_backbone("efficientnet_lite0", cache=tmp_path).network.state_dict()
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    for damaged in (whole, whole[:1000], whole[:-4] + b"\1\2\3\4", b"", b"\xff" * 100):
        kept.write_bytes(damaged)
        again = load_backbone("efficientnet_lite0", cache=tmp_path).network.state_dict()
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert kept.read_bytes() == whole


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_every_variant_makes_features_of_any_size(variant: str) -> None:
    network = EfficientNetLite(variant).eval()
    for height, width in ((32, 32), (33, 70)):
        assert network(torch.zeros(1, 3, height, width)).shape == (1, 1280)


def test_the_smallest_has_as_many_parameters_as_the_paper_says() -> None:
    head = 1280 * 1000 + 1000
    count = sum(parameter.numel() for parameter in EfficientNetLite("lite0").parameters())
    assert round((count + head) / 1e6, 2) == 4.65


@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (11, 5, 2), (12, 5, 2), (9, 5, 3)])
def test_padding_gives_as_many_places_as_strides_fit(size: int, kernel: int, stride: int) -> None:
    padded = SamePad(kernel, stride)(torch.ones(1, 1, size, size))
    found = nn.functional.conv2d(padded, torch.ones(1, 1, kernel, kernel), stride=stride)
    assert found.shape[-1] == -(-size // stride)
    # More zeros after than before.
    assert padded[0, 0, :, size // 2].flip(0).argmax() >= padded[0, 0, :, size // 2].argmax()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of one file in place of the published one; its code would fail if it were run."""
    folder = tmp_path / "stand_in_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('code of a package was run')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder / "weights.pth"
    sys.modules.pop("stand_in_weights", None)


def described(monkeypatch: pytest.MonkeyPatch, file: Path, *, sha256: str | None = None) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
    about = replace(
        BACKBONES["efficientnet_lite0"], package="stand_in_weights", file="weights.pth", sha256=sha256 or found
    )
    monkeypatch.setitem(BACKBONES, "efficientnet_lite0", about)


def test_another_file_is_refused_by_its_hash(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package.write_bytes(b"something else")
    described(monkeypatch, package, sha256="0" * 64)
    with pytest.raises(ModelError, match="must be those that were published"):
        load_backbone("efficientnet_lite0")


def test_code_in_a_file_is_not_run(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"_conv_stem.weight": nn.Linear(2, 2)}, package)
    described(monkeypatch, package)
    with pytest.raises(ModelError, match="must be plain tensors"):
        load_backbone("efficientnet_lite0")


def test_other_layers_are_refused(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(3)}, package)
    described(monkeypatch, package)
    with pytest.raises(ModelError, match="other layers"):
        load_backbone("efficientnet_lite0")


def test_what_is_missing_is_said(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described(monkeypatch, package)
    assert "efficientnet_lite0" not in available_backbones()
    with pytest.raises(MissingExtraError, match=r"pip install 'trainwell\[pretrained\]'"):
        load_backbone("efficientnet_lite0")
    with pytest.raises(SettingError, match='Did you mean "efficientnet_lite'):
        load_backbone("efficientnet_lite")
    with pytest.raises(SettingError, match='Did you mean "lite'):
        EfficientNetLite("lite")
