"""training/batches.py."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.errors import DataError
from trainwell.training.batches import Batches


def made(samples: int, batch_size: int, *, seed: int = 0) -> Batches:
    index = torch.arange(samples) * 2 + 1
    return Batches(
        inputs=torch.arange(2 * samples + 1.0)[:, None],
        targets=torch.arange(2 * samples + 1),
        index=index,
        batch_size=batch_size,
        seed=seed,
    )


sizes = {"samples": st.integers(1, 60), "batch_size": st.integers(1, 80), "epoch": st.integers(0, 50)}


@settings(deadline=None, max_examples=60)
@given(**sizes)
def test_an_epoch_shows_no_sample_twice_and_leaves_out_less_than_a_batch(
    samples: int, batch_size: int, epoch: int
) -> None:
    batches = made(samples, batch_size)
    steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
    seen = torch.cat([batches(step)[1] for step in steps])
    assert len(seen.unique()) == len(seen)
    assert set(seen.tolist()) <= set(batches.index.tolist())
    assert samples - len(seen) < batches.size
    if samples % batches.size == 0:
        assert sorted(seen.tolist()) == batches.index.tolist()
    assert all(len(batches(step)[1]) == batches.size for step in steps)


@settings(deadline=None, max_examples=60)
@given(asked=st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_a_batch_depends_on_its_step_alone(asked: list[int]) -> None:
    walked = made(23, 4)
    for step in asked:
        inputs, targets = walked(step)
        fresh_inputs, fresh_targets = made(23, 4)(step)
        assert torch.equal(inputs, fresh_inputs)
        assert torch.equal(targets, fresh_targets)
        assert torch.equal(inputs[:, 0].long(), targets)


def test_orders_differ_by_epoch_and_by_seed() -> None:
    batches = made(40, 40)
    orders = [tuple(batches(epoch)[1].tolist()) for epoch in range(5)] + [tuple(made(40, 40, seed=1)(0)[1].tolist())]
    assert len(set(orders)) == 6


def test_a_change_is_given_indices_and_step() -> None:
    asked: list[tuple[list[int], int]] = []

    def change(
        inputs: torch.Tensor, targets: torch.Tensor, chosen: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append((chosen.tolist(), step))
        return inputs + 1, targets

    plain = made(8, 3)
    changed = Batches(
        inputs=plain.inputs, targets=plain.targets, index=plain.index, batch_size=3, seed=0, change=change
    )
    inputs, targets = changed(4)
    assert torch.equal(inputs, plain(4)[0] + 1)
    assert asked == [(targets.tolist(), 4)]
    assert torch.equal(changed.whole()[0], plain.inputs[plain.index])


def test_no_samples_are_refused() -> None:
    with pytest.raises(DataError, match="needs at least one sample"):
        Batches(inputs=torch.zeros(1, 1), targets=torch.zeros(1), index=torch.arange(0), batch_size=1, seed=0)
