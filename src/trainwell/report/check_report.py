"""What a check found, as a person meets it in Python: findings, JSON, a page, a notebook's cell."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from trainwell.capture.given import Setup
from trainwell.checking import Checked
from trainwell.core.errors import SettingError
from trainwell.core.files import write_atomically
from trainwell.core.jsonio import to_json, to_plain
from trainwell.core.records.finding import Finding
from trainwell.core.records.forks import Fork
from trainwell.diagnosis.forked import end, in_words, is_alike, is_stuck
from trainwell.diagnosis.rules.table import RULES
from trainwell.diagnosis.wording import number
from trainwell.fixing import fix
from trainwell.recipe.machine import versions

SCHEMA = 1
"""Of the JSON; another one where a key is taken away or comes to mean something else."""
FRAME = "width: 100%; height: 720px; border: 1px solid #7f7f7f; border-radius: 6px; resize: vertical"


def ruled_out(found: Checked) -> tuple[tuple[str, str], ...]:
    """Rules whose suspicion was tried and helped nothing, each with what was tried.

    Args:
        found: by a check.
    """
    forks = found.forks
    if forks is None:
        return ()
    told: dict[str, str] = {}
    for each in found.diagnosis.findings:
        wanted = RULES[each.code].confirmed_by
        made = [fork for fork in forks.changed if any(is_alike(fork, other) for other in wanted)]
        if each.severity == "info" and each.follows_from is None and made:
            told.setdefault(each.code, "; ".join(map(_came_to, made)) + f"; without, {number(end(forks.unchanged))}")
    return tuple(told.items())


def abstained(found: Checked) -> str:
    """What is said where the loss does not come down and nothing that was tried betters it; empty elsewhere.

    Args:
        found: by a check.
    """
    forks = found.forks
    if found.diagnosis.headline is not None or forks is None or not is_stuck(forks.unchanged):
        return ""
    tried = "; ".join(map(_came_to, forks.changed))
    return (
        f"In {len(forks.unchanged)} steps the loss goes from {number(forks.unchanged[0])} to "
        f"{number(end(forks.unchanged))}, and no cause is supported. Tried: {tried}."
    )


def _came_to(fork: Fork) -> str:
    return f"{in_words(fork)} comes to {number(end(fork.values))}"


@final
@dataclass(frozen=True, repr=False)
class CheckReport:
    """What a check found. A notebook shows it as its page.

    Attributes:
        checked: everything that was observed and said.
        setup: that was checked; None: it was a script.
        options: of that check: steps, seconds, select.
    """

    checked: Checked
    setup: Setup | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Root causes first."""
        return self.checked.diagnosis.findings

    @property
    def headline(self) -> Finding | None:
        """The cause to mend first; None where nothing is wrong."""
        return self.checked.diagnosis.headline

    @property
    def ok(self) -> bool:
        """Whether nothing was found that has to be mended."""
        return self.headline is None

    def fix(self) -> Setup:
        """A new Setup with the remedies, applied one by one and each kept only if it is proven.

        Proven: its finding is gone, and in three pairs of trainings with other seeds the held-out loss is lower each
        time, by more than twice the standard error of the mean difference.

        Returns:
            A Setup whose `patch` says in words what was changed; what was checked stays as it is.
        Raises:
            SettingError: a script was checked: its remedies are changes of its text, which `fix=True` tries.
        """
        if self.setup is None:
            raise SettingError(
                f"`fix` changes a Setup, but {self.checked.target} is a script. Check it with fix=True: the remedies "
                "that are proven come as changes of its lines."
            )
        return fix(self.setup, self.checked, **self.options)

    def to_plain(self) -> dict[str, Any]:
        """What `to_json` writes, as dicts and lists."""
        found = self.checked
        return {
            "schema": SCHEMA,
            "target": found.target,
            "headline": None if self.headline is None else self.headline.code,
            "abstained": abstained(found) != "",
            "findings": [to_plain(each) for each in self.findings],
            "ruled_out": [{"code": code, "why": why} for code, why in ruled_out(found)],
            "not_run": [to_plain(each) for each in found.diagnosis.not_run],
            "steps": found.taken,
            "runs": found.runs,
            "seconds": round(found.seconds, 3),
            "versions": versions(),
        }

    def to_json(self) -> str:
        """One object, as `trainwell check --json` prints it."""
        return to_json(self.to_plain(), indent=1)

    def to_html(self) -> str:
        """One page that needs nothing from outside."""
        # Loads matplotlib, which JSON does without.
        from trainwell.report.check_page import render

        return render(self.checked)

    def write(self, path: str | Path) -> Path:
        """Write the page so that a reader sees the old file or the whole new one.

        Args:
            path: of the file.
        Returns:
            The path.
        Raises:
            StoreError: the operating system refuses; the old file stays.
        """
        write_atomically(Path(path), self.to_html().encode())
        return Path(path)

    def _repr_html_(self) -> str:
        """A frame: the page's style sheet does not reach the notebook's, nor the notebook's the page."""
        from trainwell.report.check_page import render

        page = html.escape(render(self.checked, contents=False), quote=True)
        return f'<iframe sandbox title="trainwell check" style="{FRAME}" srcdoc="{page}"></iframe>'

    def __repr__(self) -> str:
        steps = f"{self.checked.taken} optimizer steps"
        if self.headline is None:
            return f"<check of {self.checked.target}: nothing wrong in {steps}>"
        where = self.headline.where
        place = f" at {where.file}:{where.line}" if where.file else ""
        others = sum(each.severity != "info" for each in self.findings) - 1
        more = f", and {others} more" if others else ""
        return f"<check of {self.checked.target}: {self.headline.code} {self.headline.name}{place}{more}>"
