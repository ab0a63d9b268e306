"""The claim that a falling learning rate beats a constant one."""

from trainwell.core.records.trial import Score
from trainwell.lecture.claims.experiment import best_lr, fit, inner, mean, measure, network, points
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import digits
from trainwell.schedules import SCHEDULES

WIDTHS = (64, 128, 128, 10)


def schedules_beat_constant(
    *,
    seeds: int = 20,
    steps: int = 400,
    batch_size: int = 16,
    lrs: tuple[float, ...] = (0.003, 0.01, 0.03, 0.06),
    candidates: tuple[str, ...] = ("step", "cosine", "linear", "inverse_sqrt"),
) -> ClaimResult:
    """The same training under each schedule, each at its best peak rate, against a constant rate.

    Args:
        seeds: >= 2.
        steps: of each training.
        batch_size: small, so that the gradient's noise matters.
        lrs: peak rates to choose from, on a part of the training samples.
        candidates: names of `SCHEDULES`.
    """
    scores: dict[str, list[Score]] = {}
    losses: dict[str, float] = {}
    chosen: dict[str, float] = {}
    for name in dict.fromkeys(("constant", *candidates)):

        def trained(lr: float, seed: int, *, tuning: bool, name: str = name) -> tuple[float, Score]:
            split = inner(digits(seed=seed)) if tuning else digits(seed=seed)
            model = network(WIDTHS, "relu", seed=seed)
            warmup = steps // 20
            schedule = SCHEDULES[name](peak_lr=lr, total_steps=steps, warmup_steps=warmup)
            loss = fit(model, split, lr=lr, steps=steps, seed=seed, batch_size=batch_size, schedule=schedule)
            return loss, measure(model, split)

        def validation_loss(lr: float, seed: int) -> float:
            return trained(lr, seed, tuning=True)[1].loss

        chosen[name] = best_lr(validation_loss, lrs)
        found = [trained(chosen[name], seed, tuning=False) for seed in range(seeds)]
        scores[name] = [score for _, score in found]
        losses[name] = mean([loss for loss, _ in found])
    return judged(
        "schedules_beat_constant",
        chapter="schedules",
        statement="Let the learning rate decay: step, cosine, linear, inverse square root, against constant.",
        measured=f"Digits, two hidden layers of 128, {steps} steps of SGD with batches of {batch_size}, the same short "
        f"warm-up, each at the best of {len(lrs)} peak rates ({len(candidates)} comparisons share the 5% of error).",
        conditions=[
            condition(
                f"test accuracy gained by {name.replace('_', ' ')}, points",
                [points(ours, constant) for ours, constant in zip(scores[name], scores["constant"])],
                above=0.0,
                confidence=1.0 - 0.05 / len(candidates),
            )
            for name in candidates
        ],
        numbers={
            **{f"training loss at the end, {name}, nats": value for name, value in losses.items()},
            **{f"best peak rate, {name}": value for name, value in chosen.items()},
            "test accuracy of constant, %": mean([100.0 * one.metric for one in scores["constant"]]),
        },
        seeds=range(seeds),
    )
