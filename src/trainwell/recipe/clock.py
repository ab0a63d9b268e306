"""What has been spent of the budget. Whatever decides by it goes through the store first (`Study.once`)."""

from dataclasses import dataclass, field
from time import perf_counter

from trainwell.core.records.run import Budget


@dataclass
class Clock:
    """Seconds since the run began, over all its sessions; or optimizer steps, and then no clock is read.

    Attributes:
        budget: how much may be spent.
        carried: seconds that earlier sessions took.
        steps: optimizer steps spent so far.
    """

    budget: Budget
    carried: float = 0.0
    steps: int = 0
    _began: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        if self.reads_time:
            self._began = perf_counter()

    @property
    def reads_time(self) -> bool:
        """Whether the budget is in seconds."""
        return self.budget.seconds > 0

    def elapsed(self) -> float:
        """Seconds so far; 0 where no clock is read."""
        return self.carried + perf_counter() - self._began if self.reads_time else 0.0

    @property
    def total(self) -> float:
        """The budget in its own unit: seconds or steps."""
        return self.budget.seconds if self.reads_time else float(self.budget.steps)

    def spent(self) -> float:
        """What has been spent, in the budget's unit."""
        return self.elapsed() if self.reads_time else float(self.steps)

    def left(self) -> float:
        """What is left, in the budget's unit; never below 0."""
        return max(self.total - self.spent(), 0.0)
