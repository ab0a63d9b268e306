"""One HTML file that says how a run went: verdict first, then the seven steps with their evidence."""

from pathlib import Path

from trainwell.core.files import write_atomically
from trainwell.core.records.run import RunRecord
from trainwell.core.version import VERSION
from trainwell.report.background import data, decisions, kept, machine
from trainwell.report.document import document
from trainwell.report.findings import findings
from trainwell.report.images import shelf
from trainwell.report.markup import Markup, element
from trainwell.report.outcome import test_part
from trainwell.report.parts import Numbering, gallery
from trainwell.report.steps import steps
from trainwell.report.verdict import trust, verdict, what_next

_CONTENTS = (
    ("verdict", "Verdict"),
    ("trust", "Trust"),
    ("next", "Next"),
    ("steps", "Steps"),
    ("kept", "Training"),
    ("test", "Test"),
    ("findings", "Findings"),
    ("decisions", "Decisions"),
    ("data", "Data"),
    ("machine", "Run"),
)


def render(run: RunRecord) -> str:
    """The whole page; equal records over equal evidence give equal text.

    Args:
        run: finished or not; photographs are looked for under `run.folder`/evidence.
    Returns:
        HTML.
    """
    numbering = Numbering()
    photographs = shelf(run.folder)
    sections: dict[str, Markup | None] = {
        "verdict": verdict(run, numbering),
        "trust": trust(run),
        "next": what_next(run),
        "steps": steps(run, photographs, numbering),
        "kept": kept(run, numbering),
        "test": test_part(run, photographs, numbering),
        "findings": findings(run),
        "decisions": decisions(run),
        "data": data(run),
        "machine": machine(run),
    }
    links = [element("a", name, href=f"#{key}") for key, name in _CONTENTS if sections[key] is not None]
    body = element(
        "body",
        element("header", element("p", "trainwell report", class_="over"), element("h1", run.name)),
        element("nav", *links, aria_label="Contents"),
        element("main", *_in_order(sections)),
        element("footer", element("p", f"Made by trainwell {VERSION} from the records of the run.")),
    )
    return document(f"{run.name} · trainwell", body)


def _in_order(sections: dict[str, Markup | None]) -> list[Markup | None]:
    """What to trust and what to do next stand beside each other where there is room."""
    beside = gallery(sections["trust"], sections["next"])
    return [
        sections["verdict"],
        beside,
        *(made for key, made in sections.items() if key not in ("verdict", "trust", "next")),
    ]


def write(run: RunRecord, path: Path) -> None:
    """Writes the page so that a reader sees the old file or the whole new one.

    Args:
        run: finished or not.
        path: of the file.
    Raises:
        StoreError: the operating system refuses; the old file stays.
    """
    write_atomically(path, render(run).encode())
