"""capture/syntax.py: what the source says of a line, and where it says nothing for sure."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from trainwell.capture.syntax import is_used_again, rounds_around, said_at, turns_around
from trainwell.core.records.finding import Where

Told = list[tuple[int, int]]


def told(source: str, folder: Path, **given: Any) -> Told:
    """What both say at each call of `here` in a source."""
    file = folder / "script.py"
    file.write_text(source)
    found: Told = []

    def here() -> None:
        frame: FrameType = sys._getframe(1)
        found.append((rounds_around(frame), turns_around(frame)))

    exec(compile(source, str(file), "exec"), {"here": here, **given})
    return found


class Settings:
    def __init__(self) -> None:
        self.epochs = 3
        self.asked = 0

    @property
    def computed(self) -> int:
        self.asked += 1
        return 2


@pytest.mark.parametrize(
    ("source", "rounds", "turns"),
    [
        ("for _ in range(7):\n    here()\n", 7, 7),
        ("for a in range(3):\n    for b in range(0, 10, 4):\n        here()\n", 3, 9),
        ("for a in range(settings.epochs + 1):\n    for x in data:\n        here()\n", 0, 0),
        ("def one():\n    here()\nfor a in range(1, settings.epochs):\n    one()\n", 2, 2),
        ("for a in tqdm(range(config['epochs'])):\n    here()\n", 5, 5),
        ("for a in range(4):\n    for phase in ['train', 'val']:\n        here()\n", 4, 4),
        ("while True:\n    here()\n    break\n", 0, 0),
        ("for a in range(2):\n    pass\nelse:\n    here()\n", 0, 0),
        ("for a in range(len(data)):\n    here()\n", 0, 0),
        ("for a in range(settings.computed):\n    here()\n", 0, 0),
        ("for a in range(2):\n    def one():\n        here()\n    one()\n", 2, 2),
        ("here()\n", 0, 0),
    ],
)
def test_loops_that_count_are_counted(source: str, rounds: int, turns: int, tmp_path: Path) -> None:
    settings = Settings()
    given = {"settings": settings, "config": {"epochs": 5}, "data": "ab", "tqdm": lambda items: items}
    found = told(source, tmp_path, **given)
    assert found
    assert set(found) == {(rounds, turns)}


def test_nothing_of_the_script_is_run_to_know_a_length(tmp_path: Path) -> None:
    settings = Settings()
    told("for a in range(settings.computed):\n    here()\n", tmp_path, settings=settings)
    assert settings.asked == 1


@pytest.mark.parametrize(
    ("lines", "used"),
    [
        ("schedule = StepLR(optimizer, 1)\ntrain()\n", False),
        ("StepLR(optimizer, 1)\n", False),
        ("schedule = StepLR(optimizer, 1)\nprint(schedule.get_last_lr())\n", False),
        ("schedule = get_linear_schedule_with_warmup(optimizer, 1, 2)\n", False),
        ("schedule = StepLR(optimizer, 1)\nschedule.step()\n", True),
        ("schedule = StepLR(optimizer, 1)\nfit(schedule)\n", True),
        ("def made():\n    schedule = StepLR(1)\n    return schedule\n", True),
        ("def made():\n    return [StepLR(1)]\n", True),
        ("self.schedule = StepLR(optimizer, 1)\n", True),
        ("trainer = Trainer(optimizer)\n", True),
        ("trainer.create_scheduler(optimizer)\n", True),
        ("optimizer, schedule = made(1)\n", True),
        ("made(\n", True),
    ],
)
def test_a_schedule_is_forgotten_only_for_sure(lines: str, used: bool, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(lines)
    line = next(number for number, text in enumerate(lines.splitlines(), 1) if "(" in text and "def" not in text)
    assert is_used_again(Where(file=str(file), line=line)) is used


def test_where_no_source_is_known_it_is_taken_to_be_used() -> None:
    assert is_used_again(Where())
    assert is_used_again(Where(file="gone.py", line=3))


def test_a_line_of_no_file_has_no_loops() -> None:
    found: Told = []

    def here() -> None:
        found.append((rounds_around(sys._getframe(1)), turns_around(sys._getframe(1))))

    exec("for a in range(2):\n    here()\n", {"here": here})
    assert found == [(0, 0), (0, 0)]


def test_what_is_worked_on_is_named_by_the_nearest_words(tmp_path: Path) -> None:
    source = """def score(net, loader):
    return sum(here(x) for x in loader)
print(f"train {1}, valid {score(None, [valid_rows])}")
for batch in test_set:
    here(batch)
"""
    file = tmp_path / "script.py"
    file.write_text(source)
    found: list[list[list[str]]] = []

    def here(_x: Any) -> int:
        frame: FrameType | None = sys._getframe(1)
        texts = []
        while frame is not None and frame.f_code.co_filename == str(file):
            texts.append(list(said_at(frame)))
            frame = frame.f_back
        found.append(texts)
        return 0

    exec(compile(source, str(file), "exec"), {"here": here, "valid_rows": 0, "test_set": [0]})
    inner, outer = found[0][0], found[0][-1]
    assert inner[0] == "here(x)"
    assert "loader" in inner
    # Of a line that names both, the call that runs names one.
    assert outer[0] == "score(None, [valid_rows])"
    assert found[1][0][:2] == ["here(batch)", "test_set"]
