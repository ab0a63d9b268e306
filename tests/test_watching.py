"""watching.py: a watched training is the training, and what is wrong with it is told while it runs."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

from trainwell.core.errors import SettingError
from trainwell.core.records.finding import Finding
from trainwell.watching import EVERY, FIRST, Watch, is_heard, watch_script

Train = Callable[[nn.Module], None]
STEPS = EVERY + FIRST


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(16, 3))


def data() -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(1)
    return torch.randn(96, 6, generator=made), torch.randint(3, (96,), generator=made)


def by_loader(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    loader = DataLoader(TensorDataset(*data()), batch_size=24, shuffle=True)
    taken = 0
    while taken < STEPS:
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            taken += 1


def gathered(model: nn.Module) -> None:
    inputs, labels = data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for number in range(2 * STEPS):
        chosen = torch.randperm(96)[:16]
        (F.cross_entropy(model(inputs[chosen]), labels[chosen]) / 2).backward()
        if number % 2:
            optimizer.step()
            optimizer.zero_grad()


def by_closure(model: nn.Module) -> None:
    inputs, labels = data()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)


def with_evaluation(model: nn.Module) -> None:
    inputs, labels = data()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for number in range(STEPS):
        model.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(inputs[:48]), labels[:48])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number % 20 == 0:
            model.eval()
            with torch.no_grad():
                model(inputs[48:]).argmax(dim=1)


def by_schedule(model: nn.Module) -> None:
    """The rate is drawn: who calls the function once more changes what comes after."""
    inputs, labels = data()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5 + 0.5 * torch.rand(1).item())
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        schedule.step()


def trained(train: Train, *, watched: bool) -> tuple[dict[str, Tensor], Tensor, Watch | None]:
    model = network()
    torch.manual_seed(2)
    if not watched:
        train(model)
        return model.state_dict(), torch.get_rng_state(), None
    with Watch() as watch:
        train(model)
    return model.state_dict(), torch.get_rng_state(), watch


@pytest.mark.parametrize("train", [by_loader, gathered, by_closure, with_evaluation, by_schedule])
def test_weights_and_generator_are_those_of_an_unwatched_training(train: Train) -> None:
    wanted, state, _ = trained(train, watched=False)
    found, after, watch = trained(train, watched=True)
    assert watch is not None
    assert watch.trouble == ""
    assert watch.steps >= STEPS
    assert torch.equal(state, after)
    for name, tensor in wanted.items():
        assert torch.equal(tensor, found[name]), name
    assert [each for each in watch.findings if each.severity != "info"] == []


COMPILED = """
import sys, torch
from torch import nn
torch.manual_seed(0)
inner, outer = nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 1)
compiled = torch.compile(inner, backend="eager")
outer.compile(backend="eager")
optimizer = torch.optim.Adam([*inner.parameters(), *outer.parameters()], lr=0.01)
inputs, targets = torch.randn(64, 4), torch.randn(64, 1)
for _ in range(33):
    optimizer.zero_grad()
    nn.functional.mse_loss(outer(compiled(inputs)), targets).backward()
    optimizer.step()
print(outer.weight.sum().item())
"""


def test_a_network_that_is_compiled_is_traced_without_what_listens(tmp_path: Path) -> None:
    # In processes of their own: types that are checked at run time would be traced too.
    script = tmp_path / "train.py"
    script.write_text(COMPILED, "utf-8")
    plain = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    command = [sys.executable, "-m", "trainwell", "watch", str(script)]
    watched = subprocess.run(command, capture_output=True, text=True, check=True)
    assert watched.stdout == plain.stdout
    assert "in 33 optimizer steps" in watched.stderr
    assert "Warning" not in watched.stderr


def test_nothing_stays_behind() -> None:
    before = (torch.autograd.backward, nn.utils.clip_grad_norm_, dict(nn.modules.module._global_forward_hooks))
    trained(by_loader, watched=True)
    assert before == (torch.autograd.backward, nn.utils.clip_grad_norm_, dict(nn.modules.module._global_forward_hooks))
    assert torch.overrides._get_current_function_mode_stack() == []


def test_a_mode_of_the_users_own_survives() -> None:
    class Counted(TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            Counted.calls += 1
            return func(*args, **(kwargs or {}))

    def train(model: nn.Module) -> None:
        inputs, labels = data()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with Counted() as mode:
            # Within, the watch ceases to listen and begins again.
            for _ in range(STEPS):
                optimizer.zero_grad()
                F.cross_entropy(model(inputs), labels).backward()
                optimizer.step()
            assert mode in torch.overrides._get_current_function_mode_stack()

    with Watch():
        train(network())
    assert torch.overrides._get_current_function_mode_stack() == []
    alone = Counted.calls
    Counted.calls = 0
    train(network())
    assert alone >= Counted.calls > 0


def test_errors_are_told_once_and_while_it_runs() -> None:
    told: list[tuple[int, Finding]] = []
    watch = Watch(tell=lambda finding: told.append((watch.steps, finding)))
    inputs, labels = data()
    model = nn.Sequential(network(), nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch:
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    assert [(step, finding.code) for step, finding in told] == [(FIRST, "ACT006")]
    assert told[0][1].where.file is not None
    assert watch.diagnosis.headline is not None
    assert watch.diagnosis.headline.code == "ACT006"


def test_a_fault_that_begins_late_is_told_late() -> None:
    told: list[int] = []
    watch = Watch(select=["OPT008"], tell=lambda _: told.append(watch.steps))
    model, (inputs, labels) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch:
        for number in range(6 * EVERY):
            if number < FIRST:
                optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    # A gradient that was cleared at first is no proof against the rule's demand for always.
    assert told == []


def test_steps_that_are_heard() -> None:
    heard = [taken for taken in range(1000) if is_heard(taken)]
    assert heard[:FIRST] == list(range(FIRST))
    assert len(heard) == FIRST + 2 * (999 // EVERY)


def test_waiting_for_data_is_measured() -> None:
    class Slow(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            torch.zeros(300, 300) @ torch.zeros(300, 300)
            return tuple(tensor[index] for tensor in self.tensors)

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Watch() as watch:
        for inputs, labels in DataLoader(Slow(*data()), batch_size=24):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    assert 0 < watch.waited < watch.seconds


def test_a_script_ends_as_it_would(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, torch\n"
        "model = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for _ in range(3):\n"
        "    optimizer.zero_grad()\n"
        "    model(torch.ones(4, 2)).square().mean().backward()\n"
        "    optimizer.step()\n"
        "assert __name__ == '__main__'\n"
        "if sys.argv[1] == 'exit': sys.exit(3)\n"
        "if sys.argv[1] == 'raise': raise KeyError('mine')\n"
    )
    before = list(sys.argv), list(sys.path)
    watched, ended = watch_script(str(script), ["go"])
    assert ended is None
    assert watched.steps == 3
    _, ended = watch_script(str(script), ["exit"])
    assert isinstance(ended, SystemExit)
    assert ended.code == 3
    _, ended = watch_script(str(script), ["raise"])
    assert isinstance(ended, KeyError)
    assert (list(sys.argv), list(sys.path)) == before


def test_bad_targets_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="does not exist"):
        watch_script(str(tmp_path / "nowhere.py"))
    with pytest.raises(SettingError, match="is a folder"):
        watch_script(str(tmp_path))
    with pytest.raises(SettingError, match="OPT888"):
        Watch(select=["OPT888"])


def test_copies_of_the_network_are_not_touched() -> None:
    model = network()
    twin = copy.deepcopy(model)
    with Watch():
        by_loader(model)
    for name, tensor in twin.state_dict().items():
        assert torch.equal(tensor, network().state_dict()[name])
