"""trainwell watch, find-lr and check --fix, as a person types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "broken"

HEALTHY = """
import sys
import torch
torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
true = torch.randn(8, 1)
for _ in range(200):
    inputs = torch.randn(64, 8)
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(model(inputs), inputs @ true).backward()
    optimizer.step()
print("done", *sys.argv[1:])
"""


def trainwell(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "trainwell", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    script = tmp_path / "train.py"
    script.write_text(HEALTHY)
    return script


def test_a_watched_script_speaks_for_itself_and_findings_go_to_standard_error(tmp_path: Path) -> None:
    left = tmp_path / "found.json"
    done = trainwell("watch", "softmax_before_cross_entropy.py", "--json", str(left), cwd=EXAMPLES)
    assert done.returncode == 0
    assert done.stdout.startswith("epoch 0: loss")
    assert done.stderr.startswith("error ACT006 activation-before-loss")
    assert "trainwell: 1 finding in 230 optimizer steps" in done.stderr
    found = json.loads(left.read_text())
    assert (found["headline"], found["steps"]) == ("ACT006", 230)
    assert max(map(len, done.stderr.splitlines())) <= 80


def test_a_healthy_script_is_watched_in_silence(healthy: Path) -> None:
    done = trainwell("watch", "train.py", "--", "--mine", cwd=healthy.parent)
    assert (done.returncode, done.stdout) == (0, "done --mine\n")
    assert done.stderr.startswith("trainwell: nothing wrong in 200 optimizer steps")
    assert "put the script's options after --" in trainwell("watch", "train.py", "--mine", cwd=healthy.parent).stderr


def test_nothing_is_called_right_where_nothing_was_seen(healthy: Path) -> None:
    healthy.write_text("print('done')\n")
    done = trainwell("watch", "train.py", cwd=healthy.parent)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.replace("\n", " ").startswith("trainwell: no step of torch.optim in this process")


def test_the_scripts_own_end_is_kept(healthy: Path) -> None:
    healthy.write_text(HEALTHY + "sys.exit(7)\n")
    assert trainwell("watch", "train.py", cwd=healthy.parent).returncode == 7
    healthy.write_text(HEALTHY + "raise KeyError('mine')\n")
    done = trainwell("watch", "train.py", cwd=healthy.parent)
    assert done.returncode == 1
    assert "KeyError: 'mine'" in done.stderr
    assert "watching.py" not in done.stderr


def test_processes_that_train_together_speak_once(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "from torch import distributed\n"
        "distributed.init_process_group('gloo')\n"
        "torch.manual_seed(distributed.get_rank())\n"
        "model = torch.nn.Linear(4, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for _ in range(35):\n"
        "    inputs = torch.randn(16, 4)\n"
        "    optimizer.zero_grad()\n"
        "    (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean().backward()\n"
        "    optimizer.step()\n"
        "    distributed.barrier()\n"
        "distributed.destroy_process_group()\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "127.0.0.1:0", "-m", "trainwell", "watch", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0
    assert done.stderr.count("OPT019 ranks-diverged") == 1
    assert done.stderr.count("trainwell: 1 finding") == 1


def test_the_rate_is_found(healthy: Path) -> None:
    done = trainwell("find-lr", "train.py", "--json", cwd=healthy.parent)
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert 0.01 < found["lr"] < 3.0
    said = trainwell("find-lr", "train.py", "--steps", "50", cwd=healthy.parent).stdout
    assert said.startswith("learning rate ")


def test_a_remedy_is_tried_and_printed_and_the_file_is_not_touched() -> None:
    before = (EXAMPLES / "broadcast_loss.py").read_text()
    done = trainwell("check", "broadcast_loss.py", "--fix", cwd=EXAMPLES)
    assert done.returncode == 1
    assert "Proven: held-out loss" in done.stdout
    assert (
        "+            loss = nn.functional.mse_loss(model(inputs[chosen]).squeeze(-1), wanted[chosen])" in done.stdout
    )
    assert (EXAMPLES / "broadcast_loss.py").read_text() == before


def test_a_function_that_returns_what_is_to_be_trained(tmp_path: Path) -> None:
    (tmp_path / "setups.py").write_text(
        "import torch\n"
        "def make():\n"
        "    inputs = torch.randn(400, 5)\n"
        "    model = torch.nn.Sequential(torch.nn.Linear(5, 2), torch.nn.Softmax(dim=1))\n"
        "    return {'model': model, 'train': (inputs, (inputs[:, 0] > 0).long())}\n"
        "def nonsense():\n"
        "    return 3\n"
    )
    assert "error ACT006" in trainwell("check", "setups.py:make", cwd=tmp_path).stdout
    done = trainwell("check", "setups.py:nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "trainwell: nonsense of setups.py must return a trainwell.Setup, a dict with its fields, or a LightningModule "
        "and its loader, but returned a int.\n"
    )
    assert 'Did you mean "make"?' in trainwell("check", "setups.py:mak", cwd=tmp_path).stderr
