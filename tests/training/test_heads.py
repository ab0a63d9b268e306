"""Many heads at once are each what they would be alone, and what torch's own AdamW makes of them."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell.core.errors import SettingError
from trainwell.core.seeds import generator
from trainwell.schedules import Cosine
from trainwell.training.heads import BETAS, HeadSetting, train_heads

CLASSES = 3
SETTINGS = tuple(
    HeadSetting(lr=lr, weight_decay=decay, dropout=dropout, label_smoothing=smoothing)
    for lr in (0.003, 0.03)
    for decay in (0.0, 0.1)
    for dropout in (0.0, 0.3, 0.6)
    for smoothing in (0.0, 0.2)
)


def sample(n: int = 40, features: int = 6, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = generator(seed, "heads")
    labels = torch.randint(0, CLASSES, (n,), generator=draw)
    centres = torch.randn(CLASSES, features, generator=draw, dtype=torch.float64)
    return centres[labels] + 0.7 * torch.randn(n, features, generator=draw, dtype=torch.float64), labels


@pytest.mark.parametrize("batch_size", [None, 16])
def test_each_head_is_the_same_alone(batch_size: int | None) -> None:
    features, labels = sample()
    rows = torch.rand(len(SETTINGS), len(features), generator=generator(1)) < 0.7
    together = train_heads(
        features,
        labels,
        classes=CLASSES,
        settings=SETTINGS,
        rows=rows,
        steps=60,
        batch_size=batch_size,
        generator=generator(2),
    )
    for i, setting in enumerate(SETTINGS):
        alone = train_heads(
            features,
            labels,
            classes=CLASSES,
            settings=[setting],
            rows=rows[[i]],
            steps=60,
            batch_size=batch_size,
            generator=generator(2),
        )
        torch.testing.assert_close(together.weight[:, i], alone.weight[:, 0], rtol=0, atol=1e-9)
        torch.testing.assert_close(together.bias[i], alone.bias[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("setting", SETTINGS[:: len(SETTINGS) // 6])
def test_it_is_what_torch_makes_of_it(setting: HeadSetting) -> None:
    features, labels = sample()
    steps = 50
    found = train_heads(features, labels, classes=CLASSES, settings=[setting], steps=steps, generator=generator(3))
    layer = nn.Linear(features.shape[1], CLASSES, dtype=torch.float64)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.AdamW(
        [
            {"params": [layer.weight], "weight_decay": setting.weight_decay},
            {"params": [layer.bias], "weight_decay": 0.0},
        ],
        lr=setting.lr,
        betas=BETAS,
    )
    rate = Cosine(peak_lr=setting.lr, total_steps=steps, warmup_steps=steps // 10)
    loss = nn.CrossEntropyLoss(label_smoothing=setting.label_smoothing)
    # As documented: the draws are a stream that the given generator seeds.
    draw = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator(3))))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        batch = features
        if setting.dropout > 0:
            kept = torch.rand(features.shape, dtype=features.dtype, generator=draw) >= setting.dropout
            batch = features * kept / (1 - setting.dropout)
        optimizer.zero_grad()
        loss(layer(batch), labels).backward()
        optimizer.step()
    torch.testing.assert_close(found.weight[:, 0], layer.weight.detach().T, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.bias[0], layer.bias.detach(), rtol=0, atol=1e-9)


def test_rows_that_a_head_may_not_see_do_not_change_it() -> None:
    features, labels = sample()
    rows = torch.ones(1, len(features), dtype=torch.bool)
    rows[0, ::3] = False

    def trained(values: Tensor) -> Tensor:
        return train_heads(
            values,
            labels,
            classes=CLASSES,
            settings=[HeadSetting(lr=0.03, dropout=0.2)],
            rows=rows,
            steps=30,
            generator=generator(0),
        ).weight

    changed = features.clone()
    changed[::3] = 1e3
    torch.testing.assert_close(trained(changed), trained(features), rtol=0, atol=1e-12)


def test_classes_that_can_be_told_apart_are() -> None:
    features, labels = sample(200)
    heads = train_heads(
        features, labels, classes=CLASSES, settings=[HeadSetting(lr=0.05)], steps=100, generator=generator(0)
    )
    fresh, truth = sample(200)
    assert (heads.logits(fresh)[:, 0].argmax(dim=1) == truth).double().mean() > 0.95


@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(6)), steps=st.integers(1, 8), batch_size=st.sampled_from([None, 1, 7, 100]))
def test_the_order_of_settings_is_only_an_order(order: list[int], steps: int, batch_size: int | None) -> None:
    features, labels = sample(20, 4)
    chosen = SETTINGS[:6]

    def trained(some: list[HeadSetting]) -> Tensor:
        return train_heads(
            features,
            labels,
            classes=CLASSES,
            settings=some,
            steps=steps,
            batch_size=batch_size,
            generator=generator(5),
        ).weight

    torch.testing.assert_close(trained([chosen[i] for i in order]), trained(list(chosen))[:, order], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"settings": []}, "at least one head"),
        ({"settings": [HeadSetting(lr=0.0)]}, "lr > 0"),
        ({"settings": [HeadSetting(lr=0.1, weight_decay=-1.0)]}, "weight_decay >= 0"),
        ({"settings": [HeadSetting(lr=0.1, dropout=1.0)]}, "0 <= dropout < 1"),
        ({"settings": [HeadSetting(lr=0.1, label_smoothing=1.0)]}, "0 <= label_smoothing < 1"),
        ({"steps": 0}, "steps >= 1"),
        ({"batch_size": 0}, "batch_size >= 1"),
        ({"rows": torch.ones(2, 40, dtype=torch.bool)}, r"\(heads, samples\) = \(1, 40\)"),
        ({"rows": torch.zeros(1, 40, dtype=torch.bool)}, "a sample to learn from"),
    ],
)
def test_what_cannot_be_trained_is_refused(change: dict[str, object], said: str) -> None:
    features, labels = sample()
    given_: dict[str, object] = {"settings": [HeadSetting(lr=0.1)], "steps": 5, **change}
    call: Callable[..., object] = train_heads
    with pytest.raises(SettingError, match=said):
        call(features, labels, classes=CLASSES, generator=generator(0), **given_)
