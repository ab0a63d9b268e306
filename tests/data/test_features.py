"""data/features.py: computed once, whole after kills, damage and full disks."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trainwell.core.errors import DataError, SettingError
from trainwell.data.dataset import Dataset
from trainwell.data.features import BLOCK_ROWS, Features, compute_features
from trainwell.data.prepare import open_prepared, prepare

WIDTH = 6


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """700 drawn pictures, prepared: two blocks and a part of a third."""
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (700, 5, 4, 3), dtype=np.uint8), np.arange(700) % 3
    return prepare((images, labels), cache=tmp_path / "cache")


def extract(batch: Tensor) -> Tensor:
    """Some numbers of each picture."""
    flat = batch.flatten(1).float()
    return torch.stack([flat.mean(1), flat.std(1), flat[:, 0], flat[:, -1], flat.amin(1), flat.amax(1)], dim=1)


class Counting:
    """Extracts, and counts what it was given; may stop or run out of memory."""

    def __init__(self, *, stop_after: int | None = None, most: int | None = None) -> None:
        self.seen, self.stop_after, self.most = 0, stop_after, most

    def __call__(self, batch: Tensor) -> Tensor:
        if self.most is not None and len(batch) > self.most:
            raise torch.OutOfMemoryError("a batch too large")
        if self.stop_after is not None and self.seen >= self.stop_after:
            raise KeyboardInterrupt
        self.seen += len(batch)
        return extract(batch)


def computed(pictures: Dataset, by: Callable[[Tensor], Tensor]) -> Features:
    return compute_features(pictures, by, width=WIDTH, name="six")


def test_they_are_a_table_of_the_same_samples(pictures: Dataset) -> None:
    found = computed(pictures, extract)
    assert found.computed == 700
    made = found.dataset
    assert torch.equal(made.inputs, extract(pictures.inputs))
    assert made.inputs.dtype == torch.float32
    assert torch.equal(made.targets, pictures.targets)
    assert {part: each.tolist() for part, each in made.parts.items()} == {
        part: each.tolist() for part, each in pictures.parts.items()
    }
    assert made.record.input.shape == (WIDTH,)
    assert made.record.fingerprint == pictures.record.fingerprint
    assert list(made.names) == list(pictures.names)
    assert made.folder.parent == pictures.folder.parent
    assert torch.equal(open_prepared(made.folder).inputs, made.inputs)


def test_a_second_call_computes_nothing(pictures: Dataset) -> None:
    computed(pictures, extract)
    counting = Counting()
    again = computed(pictures, counting)
    assert (again.computed, counting.seen) == (0, 0)
    assert torch.equal(again.dataset.inputs, extract(pictures.inputs))


def test_another_network_has_a_folder_of_its_own(pictures: Dataset) -> None:
    computed(pictures, extract)
    other = compute_features(pictures, lambda batch: extract(batch)[:, :2], width=2, name="two")
    assert other.computed == 700
    assert computed(pictures, extract).computed == 0


def test_a_call_that_was_stopped_goes_on_where_it_was(pictures: Dataset) -> None:
    with pytest.raises(KeyboardInterrupt):
        computed(pictures, Counting(stop_after=BLOCK_ROWS + 64))
    found = computed(pictures, extract)
    assert found.computed == 700 - BLOCK_ROWS
    assert torch.equal(found.dataset.inputs, extract(pictures.inputs))


@pytest.mark.parametrize("damage", ["a byte", "the end", "the header", "the list", "a line", "the record", "the parts"])
def test_damage_costs_the_blocks_concerned(pictures: Dataset, damage: str) -> None:
    folder = computed(pictures, extract).dataset.folder
    file, listed = folder / "inputs.npy", folder / "blocks.jsonl"
    data = bytearray(file.read_bytes())
    costs = {
        "a byte": BLOCK_ROWS,
        "the end": 700 - 2 * BLOCK_ROWS,
        "a line": BLOCK_ROWS,
        "the record": 0,
        "the parts": 0,
    }
    if damage == "a byte":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif damage == "the end":
        file.write_bytes(data[:-40])
    elif damage == "the header":
        data[10] ^= 1
        file.write_bytes(data)
    elif damage == "the list":
        listed.unlink()
    elif damage == "a line":
        lines = listed.read_text().splitlines()
        listed.write_text("\n".join([lines[0], lines[1][:-9], lines[2]]) + "\n")
    elif damage == "the record":
        (folder / "data.json").write_text("{")
    else:
        (folder / "splits.npz").write_bytes(b"PK")
    found = computed(pictures, extract)
    assert found.computed == costs.get(damage, 700)
    assert torch.equal(found.dataset.inputs, extract(pictures.inputs))
    assert computed(pictures, extract).computed == 0


def test_where_memory_runs_out_batches_are_halved_and_it_is_said(pictures: Dataset) -> None:
    said: list[tuple[str, dict[str, float]]] = []

    class Listener:
        def step(self, number: int, name: str, visit: int) -> None: ...
        def verdict(self, number: int, passed: bool, sentence: str) -> None: ...
        def update(self, what: str, numbers: Mapping[str, float | int]) -> None:
            said.append((what, dict(numbers)))

    found = compute_features(pictures, Counting(most=20), width=WIDTH, name="six", progress=Listener())
    assert found.batch_size == 16
    assert torch.equal(found.dataset.inputs, extract(pictures.inputs))
    smaller = [numbers["samples"] for what, numbers in said if "smaller" in what]
    assert smaller == [32, 16]
    assert said[-1] == ("computing features", {"done": 700, "total": 700})


def test_memory_for_not_even_one_sample_is_an_error(pictures: Dataset) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        computed(pictures, Counting(most=0))


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        (lambda batch: torch.full((len(batch), WIDTH), float("nan")), "must be finite"),
        (lambda batch: torch.zeros(len(batch), WIDTH + 1), r"must be \(batch, 6\), but the network returned"),
    ],
)
def test_what_is_no_feature_is_refused(pictures: Dataset, by: Callable[[Tensor], Tensor], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        computed(pictures, by)
    assert computed(pictures, extract).computed == 700


@pytest.mark.parametrize("wrong", [{"width": 0}, {"batch_size": 0}, {"name": "../x"}, {"name": ""}])
def test_settings_outside_their_range(pictures: Dataset, wrong: dict[str, int | str]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        compute_features(pictures, extract, **{"width": WIDTH, "name": "six", **wrong})  # type: ignore[arg-type]


FULL = """
import resource, signal, sys, torch
from pathlib import Path
from trainwell.core.errors import StoreError
from trainwell.data.features import compute_features
from trainwell.data.prepare import open_prepared
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
dataset = open_prepared(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
extract = lambda batch: batch.flatten(1)[:, :6].float()
try:
    compute_features(dataset, extract, width=6, name="full")
except StoreError as error:
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_what_was_computed_stays(pictures: Dataset) -> None:
    most = 128 + BLOCK_ROWS * WIDTH * 4 + 1000
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(pictures.folder), str(most)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be written: the file would be larger than allowed." in done.stdout
    assert done.stdout.count("\n") == 1
    found = compute_features(pictures, lambda batch: batch.flatten(1)[:, :6].float(), width=6, name="full")
    assert found.computed == 700 - BLOCK_ROWS
    assert torch.equal(found.dataset.inputs, pictures.inputs.flatten(1)[:, :6].float())


def test_two_calls_at_once_compute_it_once(pictures: Dataset) -> None:
    script = (
        "import sys; from pathlib import Path; from trainwell.data.features import compute_features\n"
        "from trainwell.data.prepare import open_prepared\n"
        "extract = lambda batch: batch.flatten(1)[:, :6].float()\n"
        "found = compute_features(open_prepared(Path(sys.argv[1])), extract, width=6, name='x')\n"
        "print(found.computed)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(pictures.folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    counts = sorted(int(json.loads(each.communicate(timeout=120)[0])) for each in running)
    assert counts == [0, 700]
