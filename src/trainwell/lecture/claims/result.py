"""What was measured of a claim, and the verdict that follows from the numbers.

A claim is one or more conditions: a quantity measured once a seed, and a bar. A condition holds if the whole confidence
interval of the mean lies beyond the bar. All hold: supported; none: not supported; some: depends. So "not supported"
says that this experiment does not show it, and the interval says how much it could have shown.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import scipy.special

from trainwell.core.errors import SettingError
from trainwell.core.records.record import record

Verdict = Literal["supported", "not supported", "depends"]


@record
class Condition:
    """One quantity against its bar.

    Attributes:
        name: the quantity with its unit, such as "test accuracy gained, points".
        mean: over the seeds.
        spread: standard deviation from seed to seed.
        n: seeds.
        low: lower end of the mean's interval.
        high: its upper end.
        confidence: of the interval, in (0, 1).
        side: on which side of the bar the claim wants it.
        bar: where the line is drawn.
        holds: whether the whole interval lies there.
    """

    name: str
    mean: float
    spread: float
    n: int
    low: float
    high: float
    confidence: float
    side: Literal["above", "below"]
    bar: float
    holds: bool


@record
class ClaimResult:
    """A claim of the notes, measured.

    Attributes:
        name: in CLAIMS.
        chapter: of the notes.
        statement: what the notes say.
        measured: what was done, in words.
        conditions: what the verdict follows from; the first is the headline.
        numbers: what else was measured, by name.
        n: seeds.
        mean: of the headline.
        spread: of the headline, from seed to seed.
        seeds: of the trainings or draws.
        verdict: supported, not supported or depends.
        why: one sentence, made of the numbers.
    """

    name: str
    chapter: str
    statement: str
    measured: str
    conditions: tuple[Condition, ...]
    numbers: dict[str, float]
    n: int
    mean: float
    spread: float
    seeds: tuple[int, ...]
    verdict: Verdict
    why: str


def condition(
    name: str,
    values: Sequence[float],
    *,
    above: float | None = None,
    below: float | None = None,
    confidence: float = 0.95,
) -> Condition:
    r"""A quantity measured once a seed, with the interval of its mean, against a bar.

    .. math:: \bar x \pm t_{n-1} \, s / \sqrt n

    Args:
        name: the quantity with its unit.
        values: one a seed, >= 2; where two ways are compared, their difference on the same seed (paired).
        above: the claim wants it above this,
        below: or below this; one of the two.
        confidence: of the interval, in (0, 1).
    Returns:
        The condition. A value that is not finite keeps it from holding.
    Raises:
        SettingError: fewer than two values, or not exactly one bar.
    Example:
        >>> condition("gain, points", [1.0, 2.0, 3.0], above=0.0).holds
        False
        >>> condition("gain, points", [1.9, 2.0, 2.1], above=0.0).holds
        True

    Source: Student 1908.
    """
    if len(values) < 2 or (above is None) == (below is None):
        raise SettingError(
            f"A condition must have two values at least and one bar, but got {len(values)} values, above={above} and "
            f"below={below}. Measure more seeds, give one of the two."
        )
    n = len(values)
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(scipy.special.stdtrit(n - 1, 0.5 + confidence / 2)) * spread / math.sqrt(n)
    low, high = mean - half, mean + half
    bar = above if above is not None else below
    assert bar is not None, "one of the two was given"
    return Condition(
        name=name,
        mean=mean,
        spread=spread,
        n=n,
        low=low,
        high=high,
        confidence=confidence,
        side="above" if above is not None else "below",
        bar=bar,
        holds=low > bar if above is not None else high < bar,
    )


def verdict_of(conditions: Iterable[Condition]) -> Verdict:
    """All conditions hold: supported; none: not supported; some: depends.

    Example:
        >>> verdict_of([condition("a", [1.0, 1.0], above=0.0), condition("b", [1.0, 1.0], below=0.0)])
        'depends'
    """
    found = {one.holds for one in conditions}
    if found == {True}:
        return "supported"
    return "not supported" if found == {False} else "depends"


def judged(
    name: str,
    *,
    chapter: str,
    statement: str,
    measured: str,
    conditions: Sequence[Condition],
    numbers: Mapping[str, float] | None = None,
    seeds: Sequence[int],
) -> ClaimResult:
    """The record of a claim, its verdict and reason made from the conditions.

    Args:
        name: in CLAIMS.
        chapter: of the notes.
        statement: what the notes say.
        measured: what was done, in words.
        conditions: at least one, the headline first.
        numbers: what else was measured.
        seeds: of the trainings or draws.
    """
    headline = conditions[0]
    return ClaimResult(
        name=name,
        chapter=chapter,
        statement=statement,
        measured=measured,
        conditions=tuple(conditions),
        numbers=dict(numbers or {}),
        n=headline.n,
        mean=headline.mean,
        spread=headline.spread,
        seeds=tuple(seeds),
        verdict=verdict_of(conditions),
        why=_reason(conditions),
    )


def _reason(conditions: Sequence[Condition]) -> str:
    held = [_said(one) for one in conditions if one.holds]
    failed = [_said(one) for one in conditions if not one.holds]
    parts = []
    if held:
        parts.append(f"holds for {'; '.join(held)}")
    if failed:
        parts.append(f"not shown for {'; '.join(failed)}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _said(one: Condition) -> str:
    return (
        f"{one.name}: {one.mean:.3g} ({one.confidence:.3g} interval {one.low:.3g} to {one.high:.3g}, "
        f"wanted {one.side} {one.bar:.3g})"
    )
