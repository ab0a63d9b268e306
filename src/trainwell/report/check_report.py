"""What a check found, as a person meets it in Python: findings, JSON, a page, a notebook's cell."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from trainwell.checking import Checked
from trainwell.core.files import write_atomically
from trainwell.core.jsonio import to_json, to_plain
from trainwell.core.records.finding import Finding
from trainwell.recipe.machine import versions

SCHEMA = 1
"""Of the JSON; another one where a key is taken away or comes to mean something else."""
FRAME = "width: 100%; height: 720px; border: 1px solid #7f7f7f; border-radius: 6px; resize: vertical"


@final
@dataclass(frozen=True, repr=False)
class CheckReport:
    """What a check found. A notebook shows it as its page.

    Attributes:
        checked: everything that was observed and said.
    """

    checked: Checked

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

    def to_plain(self) -> dict[str, Any]:
        """What `to_json` writes, as dicts and lists."""
        found = self.checked
        return {
            "schema": SCHEMA,
            "target": found.target,
            "headline": None if self.headline is None else self.headline.code,
            "findings": [to_plain(each) for each in self.findings],
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
