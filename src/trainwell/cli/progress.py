"""How a run goes on, on a terminal or in a file: the only place that draws."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainwell.core.protocols import Progress, Silent

TITLES = {
    0: "look at the data",
    1: "check the initial loss",
    2: "overfit a small sample",
    3: "find the learning rate",
    4: "coarse grid",
    5: "refined grid",
    6: "look at the learning curves",
    7: "next",
    8: "train to the end",
    9: "test, once",
}


def clock(seconds: float) -> str:
    """75 -> "1:15"."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    return f"{minutes}:{rest:02d}"


class Lines:
    """Plain lines on standard error: one a step and one a verdict, for pipes and logs.

    Args:
        console: where they go.
        budget_seconds: of the run; 0 where it is in steps.
    """

    def __init__(self, console: Console, budget_seconds: float) -> None:
        self.console = console
        self.budget = budget_seconds
        self.began = time.monotonic()

    def step(self, number: int, name: str, visit: int) -> None:
        """Name the step."""
        again = f", visit {visit}" if visit > 1 else ""
        label = f"{number}" if number <= 7 else "·"
        self.console.print(f"[bold]{label}[/bold]  {escape(TITLES.get(number, name))}{again}", highlight=False)

    def update(self, what: str, numbers: Mapping[str, float | int]) -> None:
        """Say nothing in between."""

    def verdict(self, number: int, passed: bool, sentence: str) -> None:  # noqa: ARG002 - Progress says so
        """Say what came of it."""
        mark = "[green]ok[/green]" if passed else "[yellow]![/yellow]"
        if not self.console.is_terminal:
            self.console.print(f"   {mark:2} {escape(sentence)}", highlight=False, soft_wrap=True)
            return
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=5, justify="right")
        row.add_column()
        row.add_row(mark, escape(sentence))
        self.console.print(row, highlight=False)


class Display(Lines):
    """The same lines, and under them one that lives: trial, epoch, loss, time left."""

    def __init__(self, console: Console, budget_seconds: float, live: Live) -> None:
        super().__init__(console, budget_seconds)
        self.live = live

    def update(self, what: str, numbers: Mapping[str, float | int]) -> None:
        """Redraw the living line."""
        parts = [what]
        if "trial" in numbers and numbers["trial"] >= 0:
            parts = [f"trial {numbers['trial']:.0f}"]
        if "total_steps" in numbers and "step" in numbers:
            parts.append(f"step {numbers['step']:,.0f}/{numbers['total_steps']:,.0f}")
        parts += [f"epoch {numbers['epoch']:.1f}"] if "epoch" in numbers else []
        parts += [f"loss {numbers['loss']:.3f}"] if "loss" in numbers else []
        parts += [f"validation {numbers['validation']:.3f}"] if "validation" in numbers else []
        for name in ("done", "files"):
            parts += [f"{numbers[name]:,.0f} {name}"] if name in numbers else []
        spent = time.monotonic() - self.began
        parts.append(f"{clock(self.budget - spent)} left" if self.budget else clock(spent))
        self.live.update(Text("   " + " · ".join(parts), style="dim", overflow="ellipsis", no_wrap=True))

    def verdict(self, number: int, passed: bool, sentence: str) -> None:
        """Say what came of it, and clear the living line."""
        self.live.update(Text(""))
        super().verdict(number, passed, sentence)


@contextmanager
def shown(*, quiet: bool, budget_seconds: float) -> Iterator[Progress]:
    """Progress as the terminal allows: a living display, plain lines when piped, nothing when quiet."""
    console = Console(stderr=True)
    if quiet:
        yield Silent()
    elif console.is_terminal:
        with Live(Text(""), console=console, refresh_per_second=4, transient=True) as live:
            yield Display(console, budget_seconds, live)
    else:
        yield Lines(console, budget_seconds)


def say(sentence: str) -> None:
    """A sentence on standard output, wrapped between words on a terminal and in one line elsewhere."""
    console = Console()
    console.print(escape(sentence), highlight=False, soft_wrap=not console.is_terminal)
