"""models/hub.py: image networks of timm and transformers, from the local cache, without a connection."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainwell.core.errors import MissingExtraError, ModelError
from trainwell.models.backbones import bare_backbone, is_backbone, load_backbone

SCRIPT = Path(__file__).with_name("in_hub.py")
INSTALLED = all(importlib.util.find_spec(name) for name in ("timm", "transformers", "huggingface_hub"))
installed = pytest.mark.skipif(not INSTALLED, reason="the extra `hub` is missing")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script says of a cache that it made."""
    cache = tmp_path_factory.mktemp("hub")
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(cache)], env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


@installed
def test_a_network_of_timm_gives_its_features_and_wants_its_pixels(found: dict[str, Any]) -> None:
    timm = found["timm"]
    assert timm["same"]
    assert timm["features"] == 512
    assert not timm["trains"]
    size, mean, std, interpolation = timm["sees"]
    assert (size, interpolation) == (176, "bicubic")
    assert mean == pytest.approx([255 * 0.485, 255 * 0.456, 255 * 0.406])
    assert std == pytest.approx([255 * 0.229, 255 * 0.224, 255 * 0.225])
    # A picture that is no square gets bars.
    assert timm["input"] == [2, 3, 176, 176]
    assert timm["from pictures"] == [2, 512]


@installed
def test_a_network_of_transformers_gives_its_class_token(found: dict[str, Any]) -> None:
    vit = found["transformers"]
    assert vit["same"]
    assert vit["features"] == 16
    assert vit["sees"] == [64, [127.5] * 3, [63.75] * 3, "bilinear"]


@installed
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pickle", "A pickle is never loaded"),
        ("other", "must fit its configuration, but conv1.0.weight is missing"),
        ("words", "must take pictures|must be an image network"),
        ("broken", "must have a config.json that can be read"),
        ("nowhere", "is not here and could not be fetched"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(found: dict[str, Any], name: str, said: str) -> None:
    assert any(part in found[name] for part in said.split("|")), found[name]
    assert "\n" not in found[name]
    assert f"tiny/{name}" in found[name].replace("--", "/")


def test_without_the_extra_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'trainwell\[hub\]'"):
        load_backbone("hub:timm/resnet18.a1_in1k")


def test_a_folder_is_read_as_it_stands(tmp_path: Path) -> None:
    assert is_backbone(f"hub:{tmp_path}")
    with pytest.raises(ModelError, match=r"config\.json"):
        bare_backbone(f"hub:{tmp_path}")
