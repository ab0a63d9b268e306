"""Claims about the data's preprocessing."""

from collections.abc import Callable

from trainwell.core.records.trial import Score
from trainwell.lecture.claims.experiment import best_lr, fit, mean, measure, network, points
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import Split, digits, wine

_DATA: dict[str, Callable[..., Split]] = {"digits": digits, "wine": wine}


def normalizing_helps(
    *,
    seeds: int = 10,
    steps: int = 100,
    lrs: tuple[float, ...] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    normalize: bool = True,
) -> ClaimResult:
    """The same training on raw and on normalized data, each at its best rate.

    Args:
        seeds: >= 2.
        steps: of each training.
        lrs: rates to choose from.
        normalize: what is done to the data that are said to be better; False as a control.
    """
    conditions, numbers = [], {}
    for name, load in _DATA.items():
        scores: dict[bool, list[Score]] = {}
        chosen = {}
        for normalized in (True, False):

            def trained(
                lr: float, seed: int, load: Callable[..., Split] = load, normalized: bool = normalized
            ) -> tuple[float, Score]:
                split = load(seed=seed, normalize=normalized and normalize)
                model = network((split.inputs.shape[1], 64, 64, split.classes), "relu", seed=seed)
                loss = fit(model, split, lr=lr, steps=steps, seed=seed, batch_size=32)
                return loss, measure(model, split)

            def lost(lr: float, seed: int, trained: Callable[[float, int], tuple[float, Score]] = trained) -> float:
                return trained(lr, seed)[0]

            chosen[normalized] = best_lr(lost, lrs)
            scores[normalized] = [trained(chosen[normalized], seed)[1] for seed in range(seeds)]
        gained = [points(ours, raw) for ours, raw in zip(scores[True], scores[False])]
        conditions.append(condition(f"test accuracy gained on {name}, points", gained, above=0.0))
        for normalized, word in ((True, "normalized"), (False, "raw")):
            numbers[f"{name} {word}: test accuracy, %"] = mean([100.0 * one.metric for one in scores[normalized]])
            numbers[f"{name} {word}: best rate"] = chosen[normalized]
    return judged(
        "normalizing_helps",
        chapter="preprocessing",
        statement="Normalizing the data helps training.",
        measured=f"Digits (64 pixels, 0 to 16 each) and wine (13 measurements in units from 0.1 to 1000), {steps} "
        f"steps of SGD, each at the best of {len(lrs)} rates.",
        conditions=conditions,
        numbers=numbers,
        seeds=range(seeds),
    )
