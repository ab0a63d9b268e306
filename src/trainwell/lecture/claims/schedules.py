"""The claim that a falling learning rate beats a constant one."""

from collections.abc import Callable

from trainwell.core.records.trial import Score
from trainwell.lecture.claims.experiment import best_lr, fit, inner, mean, measure, network, points
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import Split, digits
from trainwell.schedules import SCHEDULES

WIDTHS = (64, 128, 128, 10)


def schedules_beat_constant(
    *,
    seeds: int = 12,
    steps: int = 400,
    batch_size: int = 16,
    lrs: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04),
    dropouts: tuple[float, ...] = (0.0, 0.5),
    candidates: tuple[str, ...] = ("step", "cosine", "linear", "inverse_sqrt"),
) -> ClaimResult:
    """The same training under each schedule, each at its best peak rate, against a constant rate.

    Without dropout the network learns every training sample by heart: the gradient's noise dies out by itself, and
    little is left for a falling rate to calm. With dropout the noise stays.

    Args:
        seeds: >= 2.
        steps: of each training.
        batch_size: small, so that the gradient's noise matters.
        lrs: peak rates to choose from, on a part of the training samples.
        dropouts: probabilities to drop; each is a setting of its own.
        candidates: names of `SCHEDULES`.
    """
    conditions, numbers = [], {}
    for dropout in dropouts:
        where = f"dropout {dropout:g}"
        scores: dict[str, list[Score]] = {}
        for name in dict.fromkeys(("constant", *candidates)):

            def trained(lr: float, split: Split, seed: int, name: str = name, dropout: float = dropout) -> Score:
                model = network(WIDTHS, "relu", seed=seed, dropout=dropout)
                schedule = SCHEDULES[name](peak_lr=lr, total_steps=steps, warmup_steps=steps // 20)
                fit(model, split, lr=lr, steps=steps, seed=seed, batch_size=batch_size, schedule=schedule)
                return measure(model, split)

            def lost(lr: float, seed: int, trained: Callable[[float, Split, int], Score] = trained) -> float:
                return trained(lr, inner(digits(seed=seed)), seed).loss

            lr = best_lr(lost, lrs)
            scores[name] = [trained(lr, digits(seed=seed), seed) for seed in range(seeds)]
            numbers[f"{where}: best peak rate, {name}"] = lr
            numbers[f"{where}: test accuracy, {name}, %"] = mean([100.0 * one.metric for one in scores[name]])
        conditions += [
            condition(
                f"{where}: test accuracy gained by {name}, points",
                [points(ours, constant) for ours, constant in zip(scores[name], scores["constant"])],
                above=0.0,
                confidence=1.0 - 0.05 / (len(candidates) * len(dropouts)),
            )
            for name in candidates
        ]
    return judged(
        "schedules_beat_constant",
        chapter="schedules",
        statement="Let the learning rate decay: step, cosine, linear, inverse square root, against constant.",
        measured=f"Digits, two hidden layers of 128, {steps} steps of SGD with batches of {batch_size}, the same short "
        f"warm-up, each at the best of {len(lrs)} peak rates; without dropout and with it ({len(conditions)} "
        "comparisons share the 5% of error).",
        conditions=conditions,
        numbers=numbers,
        seeds=range(seeds),
    )
