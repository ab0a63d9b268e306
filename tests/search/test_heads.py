"""search/heads.py: settings of an output layer are told apart on samples that its heads did not learn from."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.seeds import generator
from trainwell.search.heads import FOLDS, SETTINGS, deal_folds, search_heads
from trainwell.training.heads import HeadSetting, train_heads


def made(
    samples: int, *, classes: int = 3, width: int = 20, noise: float = 1.0, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Classes around means of their own."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    means = torch.randn(classes, width, generator=draw)
    return means[labels] + noise * torch.randn(samples, width, generator=draw), labels


@pytest.mark.parametrize(("samples", "folds"), [(30, 5), (31, 5), (7, 3), (12, 4)])
def test_folds_are_alike_in_size_and_in_classes(samples: int, folds: int) -> None:
    labels = made(samples)[1]
    dealt = deal_folds(labels, folds, seed=3)
    sizes = dealt.bincount(minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for label in range(3):
        of_class = dealt[labels == label].bincount(minlength=folds)
        assert of_class.max() - of_class.min() <= 1


def test_another_repeat_deals_otherwise_and_the_same_seed_alike() -> None:
    labels = made(60)[1]
    assert torch.equal(deal_folds(labels, 5, seed=1), deal_folds(labels, 5, seed=1))
    assert not torch.equal(deal_folds(labels, 5, seed=1), deal_folds(labels, 5, seed=1, repeat=1))


def test_the_best_eighth_is_tried_on_all_folds_and_comes_first() -> None:
    features, labels = made(300)
    found = search_heads(features, labels, classes=3, steps=20)
    assert len(SETTINGS) == len(found.trials) == 64
    assert [each.folds for each in found.trials] == [FOLDS] * 8 + [2] * 56
    losses = [each.loss for each in found.trials]
    assert losses[:8] == sorted(losses[:8])
    assert losses[8:] == sorted(losses[8:])
    assert found.best == found.trials[0].setting
    assert {each.setting for each in found.trials} == set(SETTINGS)


def test_held_out_logits_are_those_of_heads_that_had_not_seen_the_sample() -> None:
    """Against the cross-validation written out: a head a fold, on the same draws."""
    features, labels = made(40, noise=2.0)
    features = features.double()
    setting = HeadSetting(lr=0.03, weight_decay=0.01)
    found = search_heads(features, labels, classes=3, settings=(setting,), folds=4, steps=30, seed=5)
    dealt = deal_folds(labels, 4, seed=5)
    wanted = torch.zeros(40, 3, dtype=torch.float64)
    for fold in range(4):
        head = train_heads(
            features,
            labels,
            classes=3,
            settings=(setting,),
            rows=(dealt != fold)[None],
            steps=30,
            generator=generator(5, "heads", 0, 0 if fold < 2 else 2),
        )
        wanted[dealt == fold] = head.logits(features)[dealt == fold, 0]
    assert torch.allclose(found.held_out, wanted, atol=1e-9)
    trial = found.trials[0]
    assert trial.loss == pytest.approx(functional.cross_entropy(wanted, labels).item(), abs=1e-9)
    assert trial.accuracy == pytest.approx((wanted.argmax(1) == labels).double().mean().item())


def test_repeats_judge_each_sample_as_often() -> None:
    features, labels = made(40, noise=2.0)
    found = search_heads(features, labels, classes=3, settings=SETTINGS[:4], repeats=3, steps=20)
    assert found.trials[0].folds == 3 * FOLDS
    assert found.held_out.isfinite().all()
    assert not torch.equal(
        found.held_out, search_heads(features, labels, classes=3, settings=SETTINGS[:4], steps=20).held_out
    )


def test_labels_that_are_chance_are_held_out_at_chance() -> None:
    """What a head has learnt by heart does not count."""
    draw = torch.Generator().manual_seed(0)
    features, labels = torch.randn(120, 60, generator=draw), torch.arange(120) % 4
    found = search_heads(features, labels, classes=4)
    assert found.trials[0].accuracy < 0.40
    assert found.trials[0].loss > 1.2


def test_what_separates_is_found() -> None:
    features, labels = made(60, noise=0.3)
    found = search_heads(features, labels, classes=3)
    assert found.trials[0].accuracy > 0.95
    assert torch.equal(found.held_out, search_heads(features, labels, classes=3).held_out)


def test_a_setting_that_diverges_does_not_win() -> None:
    features, labels = made(60)
    wild = HeadSetting(lr=1e30)
    found = search_heads(features, labels, classes=3, settings=(wild, *SETTINGS[:3]), steps=20)
    assert found.best != wild


@pytest.mark.parametrize(
    ("wrong", "named"), [({"folds": 1}, "folds"), ({"repeats": 0}, "repeats"), ({"settings": ()}, "settings")]
)
def test_settings_outside_their_range(wrong: dict[str, object], named: str) -> None:
    features, labels = made(12)
    with pytest.raises(SettingError, match=named):
        search_heads(features, labels, classes=3, **wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="two samples"):
        search_heads(features[:1], labels[:1], classes=3)
