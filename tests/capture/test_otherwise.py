"""capture/otherwise.py: another text or other random numbers, and both gone afterwards."""

import random
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trainwell.capture.otherwise import seeds, sources


def test_another_text_is_read_and_no_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, part = tmp_path / "script.py", tmp_path / "part_of_it.py"
    script.write_text("import part_of_it\nfound = part_of_it.number\nline = 1\n")
    part.write_text("number = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert runpy.run_path(str(script))["found"] == 1
    sys.modules.pop("part_of_it")
    with sources({str(part): "number = 2\n", str(script): script.read_text() + "more = 3\n"}):
        made = runpy.run_path(str(script))
    assert (made["found"], made["more"]) == (2, 3)
    sys.modules.pop("part_of_it")
    # Nor is what was compiled from the other text kept for the next time.
    assert runpy.run_path(str(script))["found"] == 1
    assert "more" not in script.read_text()


def drawn() -> list[float]:
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    return [torch.rand(1).item(), random.random(), float(np.random.rand()), float(np.random.default_rng(7).random())]


def test_seeds_are_others_and_the_same_again() -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    plain = drawn()
    with seeds(1):
        first = drawn()
    with seeds(2):
        second = drawn()
    with seeds(1):
        assert drawn() == first
    assert drawn() == plain
    assert all(len({a, b, c}) == 3 for a, b, c in zip(plain, first, second, strict=True))
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])
