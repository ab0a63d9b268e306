"""What is trained: refused where its parts do not fit, and dealt out in batches."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import OutputLayout
from trainwell.training.objective import Objective
from trainwell.training.setup import Setup

CLASSES = OutputLayout(task="classification", size=3, names=("a", "b", "c"))
TRAIN = torch.arange(0, 50, 2)


def setup_of(parts: Any, **changes: Any) -> Setup:
    fields: dict[str, Any] = {
        "model": nn.Linear(4, 3),
        "inputs": parts.inputs,
        "targets": parts.targets,
        "train": TRAIN,
        "validation": torch.arange(1, 50, 2),
        "output": CLASSES,
        "loss": Objective(output=CLASSES),
        "optimizer": lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
        "batch_size": 5,
    }
    return Setup(**(fields | changes))


def test_all_that_is_wrong_is_named_at_once(parts: Any) -> None:
    with pytest.raises(SettingError, match=r"but got 50 and 49.*`batch_size >= 1`.*training part must not be empty"):
        setup_of(parts, targets=parts.targets[1:], train=torch.arange(0), batch_size=0)


def test_a_copy_with_changes_is_held_to_the_same(parts: Any) -> None:
    setup = setup_of(parts)
    changed = setup.with_(batch_size=7, seed=3)
    assert (changed.batch_size, changed.seed, setup.batch_size, setup.seed) == (7, 3, 5, 0)
    assert changed.model is setup.model
    with pytest.raises(SettingError, match="`batch_size >= 1` must hold, but got 0"):
        setup.with_(batch_size=0)


def test_batches_are_of_the_training_part_alone(parts: Any) -> None:
    setup = setup_of(parts, inputs=torch.arange(50.0)[:, None], targets=torch.arange(50) % 3)
    batches = setup.batches()
    seen = torch.cat([batches(step)[0][:, 0] for step in range(5)])
    assert seen.sort().values.tolist() == TRAIN.tolist()
    inputs, targets = batches(0)
    assert torch.equal(targets, inputs[:, 0].long() % 3)


def test_a_sample_is_drawn_by_the_seed(parts: Any) -> None:
    drawn = [setup_of(parts, seed=seed).batches(samples=10).index for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    for index in drawn:
        assert len(index) == 10
        assert index.tolist() == sorted(set(index.tolist()) & set(TRAIN.tolist()))


@pytest.mark.parametrize("samples", [None, 25, 1000])
def test_a_sample_of_all_is_all(parts: Any, samples: int | None) -> None:
    assert torch.equal(setup_of(parts).batches(samples=samples).index, TRAIN)


def test_plain_batches_are_not_changed(parts: Any) -> None:
    def change(inputs: Tensor, targets: Tensor, index: Tensor, step: int) -> tuple[Tensor, Tensor]:
        return inputs + 100.0, targets

    setup = setup_of(parts, change=change)
    assert setup.batches()(0)[0].min() > 50.0
    assert setup.batches(plain=True)(0)[0].max() < 50.0
