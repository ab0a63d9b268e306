"""Measuring the claims one after the other."""

from collections.abc import Iterable, Iterator

from trainwell.core.errors import SettingError, suggestion
from trainwell.lecture.claims.result import ClaimResult
from trainwell.lecture.claims.table import CLAIMS


def measure_claims(only: Iterable[str] = (), *, seeds: int | None = None) -> Iterator[ClaimResult]:
    """Measure claims, each at the size that is reported.

    Args:
        only: names in CLAIMS; none: all.
        seeds: of each claim, >= 2; None: as many as each asks for.
    Yields:
        Each result as it is ready.
    Raises:
        SettingError: a name that is not there, or fewer than two seeds.
    """
    names = tuple(only) or tuple(CLAIMS)
    problems = [
        f'A claim must be one of the table, but got "{name}". {suggestion(name, CLAIMS)}'
        for name in names
        if name not in CLAIMS
    ]
    if seeds is not None and seeds < 2:
        problems.append(f"`seeds >= 2` must hold, but got {seeds}. A spread needs two.")
    if problems:
        raise SettingError(" ".join(problems))
    for name in names:
        yield CLAIMS[name]() if seeds is None else CLAIMS[name](seeds=seeds)
