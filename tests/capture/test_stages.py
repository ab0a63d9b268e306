"""capture/stages.py: of trainings one after the other, the last is heard; where it is well, those before."""

from pathlib import Path

import pytest
import torch
from torch import nn

from trainwell.capture.stages import LEAST, Stages, optimizers_said
from trainwell.checking import check

TWO = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(640, 8)
y = (x[:, 0] > 0).long()


def fit(net, steps, tail):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(steps):
        rows = torch.randint(len(x), (32,))
        loss = F.cross_entropy(tail(net(x[rows])), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


teacher = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
student = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
fit(teacher, {first}, {teacher})
fit(student, 60, {student})
"""


def script(folder: Path, *, first: int = 40, teacher: str = "nn.Identity()", student: str = "nn.Identity()") -> str:
    file = folder / "two.py"
    file.write_text(TWO.format(first=first, teacher=teacher, student=student))
    return str(file)


@pytest.mark.parametrize(("first", "stage"), [(40, 1), (400, 1), (LEAST - 1, 0)])
def test_the_last_training_is_heard(tmp_path: Path, first: int, stage: int) -> None:
    found = check(script(tmp_path, first=first, student="nn.Softmax(dim=1)"))
    assert found.heard.stage == stage
    headline = found.diagnosis.headline
    assert headline is not None
    assert headline.code == "ACT006"
    assert found.taken == (60 if stage else 60 + first)


def test_where_it_is_well_the_one_before_is_asked(tmp_path: Path) -> None:
    found = check(script(tmp_path, teacher="nn.Softmax(dim=1)"))
    assert found.heard.stage == 0
    assert found.diagnosis.headline is not None
    assert found.diagnosis.headline.code == "ACT006"
    assert found.taken == 40


def test_once_is_once(tmp_path: Path) -> None:
    found = check(script(tmp_path, teacher="nn.Softmax(dim=1)"), once=True)
    assert (found.heard.stage, found.runs, found.diagnosis.headline) == (1, 1, None)


def test_where_both_are_well_nothing_is_said(tmp_path: Path) -> None:
    found = check(script(tmp_path))
    assert found.heard.stage == 1
    assert found.diagnosis.headline is None
    assert found.runs >= 2


def test_a_training_begins_with_weights_that_no_optimizer_had() -> None:
    begun: list[int] = []
    stages = Stages(begun.append)
    init = torch.optim.Optimizer.__init__
    with stages.noticing():
        one, other = nn.Linear(2, 2), nn.Linear(2, 2)
        first = torch.optim.SGD(one.parameters(), lr=0.1)
        # The second of a pair, made before many steps.
        torch.optim.SGD(other.parameters(), lr=0.1)
        for _ in range(LEAST):
            one(torch.ones(1, 2)).sum().backward()
            first.step()
        # The same weights go on with another optimizer.
        torch.optim.Adam(one.parameters(), lr=0.1)
        assert begun == []
        torch.optim.Adam([*one.parameters(), *nn.Linear(2, 2).parameters()], lr=0.1)
        assert begun == [1]
        torch.optim.Adam(nn.Linear(2, 2).parameters(), lr=0.1)
        assert begun == [1]
    assert torch.optim.Optimizer.__init__ is init
    assert stages.made == 5


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("opt = torch.optim.SGD(w, 0.1)", 1),
        ("opt = SGD(w) if plain else Adam(w)", 1),
        ("if plain:\n    opt = SGD(w)\nelse:\n    opt = Adam(w)", 1),
        ("g = Adam(w)\nd = Adam(v)", 2),
        ("def fit(net):\n    return Adam(net)\nfit(a)\nfit(b)\nfit(c)", 3),
        ("class Trainer:\n    def make(self):\n        self.opt = AdamW(w)", 1),
        ("def not python(", 0),
        ("print(1)", 0),
        ("def make(name):\n    if name == 's':\n        return SGD(w)\n    if name == 'a':\n        return Adam(w)", 1),
    ],
)
def test_optimizers_that_a_script_says_it_makes(text: str, count: int) -> None:
    assert optimizers_said(text) == count


def test_a_network_that_is_made_last_and_not_trained_is_none(tmp_path: Path) -> None:
    file = Path(script(tmp_path, first=40, student="nn.Identity()"))
    text = file.read_text().replace("fit(student, 60, nn.Identity())", "torch.optim.SGD(student.parameters(), lr=0.1)")
    file.write_text(text)
    found = check(str(file))
    assert (found.heard.stage, found.taken, found.diagnosis.headline) == (0, 40, None)


def test_while_another_training_is_waited_for_steps_do_not_count(tmp_path: Path) -> None:
    file = Path(script(tmp_path, first=3000, student="nn.Identity()"))
    file.write_text(file.read_text().replace("fit(student, 60, nn.Identity())", ""))
    text = file.read_text() + "\nif not x.numel():\n    fit(student, 60, nn.Identity())\n"
    file.write_text(text)
    found = check(str(file), steps=50)
    assert found.heard.steps is not None
    assert (found.taken, len(found.heard.steps.values)) == (50, 50)
