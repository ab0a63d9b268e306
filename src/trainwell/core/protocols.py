"""What the floors expect of each other."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Who is told how a run goes on. The library never prints; the command line draws."""

    def step(self, number: int, name: str, visit: int) -> None:
        """A step of the recipe begins."""

    def update(self, what: str, numbers: Mapping[str, float | int]) -> None:
        """Something went on: a trial, an epoch, files decoded. Numbers by name, such as loss, step, total_steps."""

    def verdict(self, number: int, passed: bool, sentence: str) -> None:
        """A step has come to its verdict."""


class Silent:
    """Progress that nobody watches: the default."""

    def step(self, number: int, name: str, visit: int) -> None:
        """Say nothing."""

    def update(self, what: str, numbers: Mapping[str, float | int]) -> None:
        """Say nothing."""

    def verdict(self, number: int, passed: bool, sentence: str) -> None:
        """Say nothing."""
