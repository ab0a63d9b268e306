"""deployment.py: what other programs are handed says what the network says, on real data and any batch size."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from trainwell import deployment, verbs
from trainwell.core.errors import MissingExtraError, ModelError, SettingError, StoreError
from trainwell.data.arrays import frame_of_rows
from trainwell.deployment import Exported
from trainwell.models.backbones import available_backbones
from trainwell.recipe.predict import Predictor
from trainwell.verbs import Fitted

EXECUTABLE = str(Path(sys.executable).with_name("trainwell"))
OWN = """
from torch import nn

def build(channels, outputs):
    return nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(32, outputs))
"""
BRANCHING = (
    OWN.replace("nn.Flatten(),", "nn.Flatten(), Branch(),")
    + """

class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
"""
)

PRETRAINED = pytest.param(
    "pretrained",
    marks=pytest.mark.skipif(not available_backbones(), reason="the extra `pretrained` is missing"),
)


def program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own: the tests' type checks would stand in the graph's way."""
    return subprocess.run([EXECUTABLE, *arguments], cwd=folder, capture_output=True, text=True, timeout=280)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, picture_file: Path, table_file: Path, photographs: Path) -> Path:
    """Finished runs of each kind of network and task."""
    folder = tmp_path_factory.mktemp("deployment")
    (folder / "own.py").write_text(OWN)
    (folder / "branching.py").write_text(BRANCHING)
    for name, *arguments in (
        ("convnet", str(picture_file), "--model", "convnet"),
        *((("pretrained", str(photographs), "--model", "efficientnet_lite0"),) if available_backbones() else ()),
        ("resnet", str(picture_file), "--model", "resnet"),
        ("own", str(picture_file), "--model", "own.py:build"),
        ("branching", str(picture_file), "--model", "branching.py:build"),
        ("table", str(table_file), "--target", "side"),
        ("quantity", "diabetes"),
    ):
        done = program(folder, "fit", *arguments, "--name", name, "--budget", "60steps", "--quiet")
        assert done.returncode == 0, done.stderr
    return folder


def said(folder: Path, name: str, format: str) -> dict[str, Any]:  # noqa: A002 - the option's name
    done = program(folder, "export", name, "--format", format, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def opened(folder: Path, name: str) -> Predictor:
    return verbs.load(name, runs=folder / "runs", model=str(folder / "own.py:build") if name == "own" else None)


def raw_of(folder: Path, name: str, samples: int) -> torch.Tensor:
    """Real inputs, encoded as the run's model takes them."""
    shape = opened(folder, name).about.input.shape
    for each in sorted((folder / "runs" / ".cache").iterdir()):
        if (each / "inputs.npy").is_file():
            found = np.load(each / "inputs.npy")
            if found.shape[1:] == shape:
                return torch.from_numpy(found[:samples])
    raise AssertionError(f"no prepared data of shape {shape}")


def predicted(folder: Path, name: str, raw: torch.Tensor) -> np.ndarray[Any, Any]:
    """What `Deployed` gives in torch; that it is what `predict` says is asserted on the way."""
    model = opened(folder, name)
    with torch.no_grad():
        found: np.ndarray[Any, Any] = deployment.Deployed(model.network, model.about).eval()(raw).numpy()
    if model.about.input.kind == "image":
        for row, each in zip(found, model.predict(raw.numpy()), strict=True):
            assert model.about.output.names[int(row.argmax())] == each.label
            assert row.max() == pytest.approx(each.probability, abs=1e-6)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnet", "resnet", "own", "table", "quantity", PRETRAINED])
def test_onnx_says_what_predict_says(runs: Path, name: str) -> None:
    import onnxruntime

    options = ("--model", "own.py:build") if name == "own" else ()
    done = program(runs, "export", name, "--json", *options)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["path"] == f"{name}.onnx"
    assert found["difference"] < (1e-4 if name == "pretrained" else 1e-5)
    session = onnxruntime.InferenceSession(str(runs / f"{name}.onnx"))
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    pictures = name in ("convnet", "resnet", "own", "pretrained")
    assert (given.name, given.type) == (("pixels", "tensor(uint8)") if pictures else ("rows", "tensor(float)"))
    assert made.name == ("values" if name == "quantity" else "probabilities")
    for samples in (1, 37):
        raw = raw_of(runs, name, samples)
        out = session.run(None, {given.name: raw.numpy()})[0]
        wanted = predicted(runs, name, raw)
        scale = np.abs(wanted).max() if name == "quantity" else 1.0
        assert np.abs(out - wanted).max() < 1e-4 * scale
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["names"]) == list(opened(runs, name).about.output.names)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnet", "table", PRETRAINED])
def test_a_torch_program_needs_nothing_of_trainwell(runs: Path, name: str) -> None:
    found = said(runs, name, "torch-export")
    assert found["path"] == f"{name}.pt2"
    raw = raw_of(runs, name, 37)
    torch.save(raw, runs / "raw.pt")
    script = (
        "import sys, torch; sys.modules['trainwell'] = None;"
        f"made = torch.export.load('{name}.pt2').module()(torch.load('raw.pt')); torch.save(made, 'made.pt')"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=runs, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.abs(torch.load(runs / "made.pt").detach().numpy() - predicted(runs, name, raw)).max() < 1e-4


@pytest.mark.slow
def test_what_the_command_says_fits_the_screen(runs: Path) -> None:
    done = program(runs, "export", "convnet", "--to", "here.onnx")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "here.onnx"
    assert lines[1] == "  in:  uint8 pixels (batch, 8, 8, 1)"
    assert lines[2] == "  out: float32 probabilities (batch, 10)"
    assert lines[3].startswith("  run beside the network, its outputs differ by at most ")
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("convnet", "--to", "nowhere/model.onnx"), "cannot be written"),
        (("branching", "--model", "branching.py:build"), "Use --format safetensors."),
    ],
)
def test_a_mistake_is_one_sentence(runs: Path, arguments: tuple[str, ...], sentence: str) -> None:
    before = sorted(path.name for path in runs.iterdir())
    done = program(runs, "export", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("trainwell: ")
    assert sentence in done.stderr
    assert sorted(path.name for path in runs.iterdir()) == before


@pytest.fixture(scope="session")
def fitted(small_table: Any, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """A short run of this process."""
    return verbs.fit(small_table, budget_steps=60, runs=tmp_path_factory.mktemp("fitted"), name="a")


def test_what_is_deployed_says_what_predict_says(fitted: Fitted, small_table: Any) -> None:
    model = fitted.model
    encoded = model.encoder.encode_table(frame_of_rows(small_table[0][:20])).inputs  # type: ignore[union-attr]
    with torch.no_grad():
        found = deployment.Deployed(model.network, model.about).eval()(encoded)
    assert torch.allclose(found.sum(dim=1), torch.ones(20))
    for row, each in zip(found, model.predict(small_table[0][:20]), strict=True):
        assert model.about.output.names[int(row.argmax())] == each.label
        assert row.max().item() == pytest.approx(each.probability, abs=1e-6)


def test_safetensors_hold_weights_and_what_they_are_of(fitted: Fitted, tmp_path: Path) -> None:
    made = verbs.export("a", tmp_path / "w.safetensors", format="safetensors", runs=fitted.folder.parent)
    assert isinstance(made, Exported)
    assert (made.path, made.takes[:26]) == (str(tmp_path / "w.safetensors"), "float32 rows (batch, 4), e")
    assert made.gives == "float32 probabilities (batch, 2)"
    with safe_open(made.path, framework="pt") as file:
        about = json.loads(file.metadata()["model"])
        assert (about["schema"], json.loads(file.metadata()["names"])) == (1, ["0", "1"])
        for name, tensor in fitted.model.network.state_dict().items():
            assert torch.equal(file.get_tensor(name), tensor)


def test_without_its_packages_onnx_says_what_to_install(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'trainwell\[onnx\]'"):
        deployment.export(fitted.model, tmp_path / "never.onnx", format="onnx")
    assert not (tmp_path / "never.onnx").exists()


def test_a_graph_that_says_something_else_is_not_kept(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(deployed: deployment.Deployed, model: Predictor, path: Path) -> float:
        path.write_bytes(b"")
        return 0.2

    monkeypatch.setitem(deployment.FORMATS, "onnx", wrong)
    (tmp_path / "wrong.onnx").write_text("what was there")
    with pytest.raises(ModelError, match=r"differ by 0\.2"):
        deployment.export(fitted.model, tmp_path / "wrong.onnx", format="onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.onnx"]
    assert (tmp_path / "wrong.onnx").read_text() == "what was there"


def test_outputs_that_are_no_numbers_differ(fitted: Fitted) -> None:
    deployed = deployment.Deployed(fitted.model.network, fitted.model.about).eval()
    assert deployment._difference(deployed, fitted.model.about, lambda raw: deployed(raw) * float("nan")) == float(
        "inf"
    )
    assert deployment._difference(deployed, fitted.model.about, deployed) == 0.0


def test_what_cannot_be_exported_is_said(fitted: Fitted, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match='Did you mean "onnx"'):
        verbs.export("a", format="onxx", runs=fitted.folder.parent)
    with pytest.raises(SettingError, match="Known: onnx, safetensors, torch-export"):
        deployment.export(fitted.model, tmp_path / "x", format="pickle")
    with pytest.raises(StoreError, match="A run must exist"):
        verbs.export("nothing", runs=fitted.folder.parent)
    with pytest.raises(StoreError, match="cannot be written"):
        verbs.export("a", tmp_path / "nowhere" / "w", format="safetensors", runs=fitted.folder.parent)
