"""One HTML file that says what a check found: the cause first, with its line, evidence and remedy."""

import math
from collections.abc import Iterable
from pathlib import Path

from trainwell.checking import Checked
from trainwell.core.records.finding import Confirmed, Finding, Remedy, Where
from trainwell.core.records.forks import Forks
from trainwell.core.records.seen.networks import LayerCourse
from trainwell.core.records.steps import Steps
from trainwell.core.version import VERSION
from trainwell.diagnosis.forked import end
from trainwell.diagnosis.rules.table import RULES
from trainwell.pictures.first_steps import first_steps, named
from trainwell.pictures.layers import layer_gradients, layer_updates
from trainwell.pictures.text import duration, number
from trainwell.recipe.machine import versions
from trainwell.report.check_report import abstained
from trainwell.report.document import document
from trainwell.report.markup import Child, Markup, element, together
from trainwell.report.parts import (
    Numbering,
    all_of,
    bullets,
    fold,
    gallery,
    pairs,
    paragraph,
    picture,
    section,
    table,
)

CONTENTS = (
    ("verdict", "Verdict"),
    ("mended", "Remedies tried"),
    ("further", "Further findings"),
    ("first-steps", "First steps"),
    ("layers", "Layers"),
    ("rules", "Rules"),
    ("run", "Run"),
)
AROUND = 3
"""Lines of the script that are shown before and after the one that is meant."""
LONGEST = 160
"""Characters of a line that are shown."""
MOST_ROWS = 300
BADGES = {"error": "bad badge", "warning": "fair badge", "info": "badge"}
ENDS = {
    "stopped": "was stopped after these steps",
    "ended": "came to its own end",
    "exited": "exited with status {status}",
    "raised": "raised an exception",
    "silent": "was ended by force",
}


def render(found: Checked, *, contents: bool = True) -> str:
    """The whole page. Lines of the script are read from where it lies; where they cannot be, their place is named.

    Args:
        found: what a check found.
        contents: whether it begins with links to its sections, which a frame within another page cannot follow.
    Returns:
        HTML.
    """
    numbering = Numbering()
    steps = found.heard.steps
    headline = found.diagnosis.headline
    sections = {
        "verdict": _verdict(found, headline),
        "mended": _tried_remedies(found.diagnosis.findings),
        "further": _further([each for each in found.diagnosis.findings if each is not headline]),
        "first-steps": _first_steps(steps, found.forks, numbering) if steps else None,
        "layers": _layers(steps, found.diagnosis.findings, numbering) if steps and steps.course else None,
        "rules": _rules(found),
        "run": _run(found),
    }
    links = [element("a", name, href=f"#{key}") for key, name in CONTENTS if sections[key] is not None]
    body = element(
        "body",
        element("header", element("p", "trainwell check", class_="over"), element("h1", found.target)),
        element("nav", *links, aria_label="Contents") if contents else None,
        element("main", *sections.values()),
        element("footer", element("p", f"Made by trainwell {VERSION} from what the check observed.")),
    )
    return document(f"{found.target} · trainwell check", body, styles=("page.css", "check_page.css"))


def _verdict(found: Checked, headline: Finding | None) -> Markup:
    if headline is None:
        said = paragraph(
            abstained(found) or f"Nothing wrong in the first {_count(found.taken, 'optimizer step')}.",
            class_="headline",
        )
        asked = paragraph(
            f"{_count(found.diagnosis.spoke, 'rule')} could be asked and found nothing that has to be mended; "
            "what the others lack is said below."
        )
        return section("Verdict", said, asked, key="verdict")
    return section(f"{headline.code} {headline.name}", *_told(headline, lead=True), key="verdict")


def _tried_remedies(findings: Iterable[Finding]) -> Markup | None:
    """Each remedy that was tried, with what it did to the held-out loss and the lines that it changes."""
    tried = [(each.code, remedy) for each in findings for remedy in each.remedies if remedy.proven or remedy.unproven]
    if not tried:
        return None
    return section("Remedies that were tried", *(_tried_remedy(code, each) for code, each in tried), key="mended")


def _tried_remedy(code: str, one: Remedy) -> Markup:
    badge = element(
        "span", "proven" if one.proven else "not proven", class_=f"{'good' if one.proven else 'fair'} badge"
    )
    losses = None
    if one.loss_before is not None and one.loss_after is not None:
        losses = paragraph(
            f"Held-out loss over {_count(one.seeds, 'pair')} of trainings: {number(one.loss_after)} with it, "
            f"{number(one.loss_before)} without."
        )
    elif one.proven:
        losses = paragraph(f"Gone in {_count(one.seeds, 'training')}, and each step's loss is what it was.")
    return element(
        "article",
        element("h3", badge, " ", element("code", code), " ", _words(one.text)),
        losses,
        paragraph(f"Not proven: {one.unproven}.") if one.unproven else None,
        _lines(one.patch) if one.patch else None,
    )


def _further(rest: list[Finding]) -> Markup | None:
    if not rest:
        return None
    loud = [each for each in rest if each.severity != "info"]
    quiet = [each for each in rest if each.severity == "info"]
    hints = fold(
        f"{_count(len(quiet), 'hint')} that need{'s' if len(quiet) == 1 else ''} no action", *map(_card, quiet)
    )
    return section("Further findings", *map(_card, loud), hints if quiet else None, key="further")


def _card(finding: Finding) -> Markup:
    title = element("h3", _badge(finding), " ", element("code", finding.code), f" {finding.name}")
    return element("article", title, *_told(finding, lead=False), class_="finding")


def _told(finding: Finding, *, lead: bool) -> list[Markup | None]:
    """Everything that a finding says, in the order in which it is wanted."""
    said = _words(finding.message)
    message: tuple[Child, ...] = (_badge(finding), " ", said) if lead else (said,)
    evidence = [(name.replace("_", " "), number(value)) for name, value in finding.evidence.items()]
    return [
        paragraph(*message, class_="headline" if lead else None),
        _place(finding.where),
        paragraph(_words(finding.cause)) if finding.cause else None,
        _confirmed(finding.confirmed_by),
        _remedies(finding.remedies),
        together(element("h3", "Evidence") if lead else None, pairs(evidence)) if evidence else None,
    ]


def _words(text: str) -> Markup:
    """A sentence; what stands between backticks is code."""
    return together(*(element("code", part) if place % 2 else part for place, part in enumerate(text.split("`"))))


def _confirmed(by: Confirmed | None) -> Markup | None:
    if by is None:
        return None
    return paragraph(
        f"Tried: with {by.fork}, the loss of the same {by.n:,} steps ends at {number(by.loss_with)} instead of "
        f"{number(by.loss_without)}."
    )


def _badge(finding: Finding) -> Markup:
    return element("span", finding.severity, class_=BADGES[finding.severity])


def _place(where: Where) -> Markup | None:
    line = f"{where.file}, line {where.line}" if where.file and where.line else where.file
    layer = f"layer {where.layer}" if where.layer else None
    known = [each for each in (line, layer) if each]
    if not known:
        return None
    return together(paragraph(f"Where: {', '.join(known)}.", class_="why"), _source(where))


def _source(where: Where) -> Markup | None:
    """The line and those around it; None where they cannot be read."""
    if where.file is None or where.line is None:
        return None
    try:
        lines = Path(where.file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    if not 1 <= where.line <= len(lines):
        return None
    first = max(where.line - AROUND, 1)
    shown = "\n".join(lines[first - 1 : where.line + AROUND]).rstrip().split("\n")
    margin = min((len(each) - len(each.lstrip()) for each in shown if each.strip()), default=0)
    items = [
        element("li", element("code", _line(text[margin:])), class_="here" if at == where.line else None)
        for at, text in enumerate(shown, first)
    ]
    return element("ol", *items, start=f"{first}", class_="source", tabindex="0", aria_label=f"Lines of {where.file}")


def _line(text: str) -> str:
    shown = text.expandtabs(4)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _remedies(remedies: tuple[Remedy, ...]) -> Markup | None:
    if not remedies:
        return None
    proven = element("span", "proven", class_="good badge")
    told = [together(_words(each.text), *((" ", proven) if each.proven else ())) for each in remedies]
    if len(told) == 1:
        return element("div", paragraph(element("strong", "Remedy: "), told[0]), class_="remedy")
    return element(
        "div", paragraph(element("strong", "Remedies"), ", the smallest first:"), bullets(told), class_="remedy"
    )


def _first_steps(steps: Steps, forks: Forks | None, numbering: Numbering) -> Markup:
    drawn = picture(first_steps(steps.values, forks), _course(steps.values), numbering)
    # On its own it has its sentence beside it.
    return section("The first steps", element("article", gallery(drawn, _tried(forks))), key="first-steps")


def _course(values: tuple[float, ...]) -> str:
    if not any(map(math.isfinite, values)):
        return "The loss is a finite number at no step."
    lost = next((step for step, value in enumerate(values, 1) if not math.isfinite(value)), None)
    if lost is not None:
        return f"The loss begins at {number(values[0])}; at step {lost:,} it is no finite number any more."
    return (
        f"The loss begins at {number(values[0])} and ends at {number(end(values))}, the median of the last third of "
        "these steps."
    )


def _tried(forks: Forks | None) -> Markup | None:
    """Where the losses end with one thing changed, each as the rules measure it."""
    if forks is None or not forks.changed:
        return None
    ends = [("as it is", forks.unchanged), *((named(each), each.values) for each in forks.changed)]
    rows = [(name, number(end(values)) if values else "took fewer steps") for name, values in ends]
    note = paragraph("From the same weights, on the same batches, with one thing changed from outside.", class_="why")
    return element("div", note, table("Where the loss ends", ("training", "loss"), rows, numeric=(1,)))


def _layers(steps: Steps, findings: Iterable[Finding], numbering: Numbering) -> Markup:
    course = steps.course
    marked = {each.where.layer for each in findings if each.where.layer}
    kinds = {each.name: each.kind for each in steps.layers if each.registered}
    updates = picture(layer_updates(course, kinds=kinds, marked=marked), _moved(course), numbering)
    gradients = picture(layer_gradients(course, kinds=kinds, marked=marked), _reached(course), numbering)
    rows = [
        (
            each.name or "(the network)",
            *(number(value) for value in (_first(each.update), _last(each.update))),
            *(number(value) for value in (_first(each.gradient), _last(each.gradient))),
        )
        for each in course[:MOST_ROWS]
    ]
    head = ("layer", "update, first step", "update, last step", "gradient, first step", "gradient, last step")
    listed = table(
        "Norm of the update over that of the weights, and norm of the gradient", head, rows, numeric=range(1, 5)
    )
    more = len(course) - len(rows)
    note = paragraph(f"{_count(more, 'layer')} more stand in no row.", class_="why") if more > 0 else None
    return section(
        "Layer by layer", gallery(updates, gradients), fold(all_of(len(course), "layer"), listed, note), key="layers"
    )


def _moved(course: tuple[LayerCourse, ...]) -> str:
    order = "Layers in the order in which they are called"
    still = [each.name for each in course if _known(each.update) and not any(_known(each.update))]
    if still:
        return f"{order}. Weights of {_list(still)} did not move in any step."
    unknown = [each.name for each in course if not _known(each.update)]
    if unknown:
        return f"{order}. No optimizer took a step with {_list(unknown)}."
    return f"{order}; one that is pale beside the others learns slowly."


def _reached(course: tuple[LayerCourse, ...]) -> str:
    lost = [each.name for each in course if any(map(math.isinf, each.gradient))]
    if lost:
        return f"The gradient of {_list(lost)} was not finite in some step."
    ended = [each.name for each in course if _known(each.gradient)[-1:] == [0.0]]
    if ended:
        return f"In the last step the gradient of {_list(ended)} is exactly 0."
    return "What fades or grows from one end of the network to the other shows itself here."


def _known(values: Iterable[float]) -> list[float]:
    """Those that were measured."""
    return [value for value in values if not math.isnan(value)]


def _first(values: tuple[float, ...]) -> float:
    return values[0] if values else math.nan


def _last(values: tuple[float, ...]) -> float:
    return values[-1] if values else math.nan


def _rules(found: Checked) -> Markup:
    silent = found.diagnosis.not_run
    said = paragraph(
        f"{_count(found.diagnosis.spoke, 'rule')} could be asked; ",
        element("code", "trainwell rule CODE"),
        " explains each.",
    )
    if not silent:
        return section("Rules", said, key="rules")
    rows = [(each.code, RULES[each.code].name if each.code in RULES else "", each.why) for each in silent]
    listed = table("Rules that could not speak, and why", ("code", "name", "because"), rows)
    return section("Rules", said, fold(f"{_count(len(silent), 'rule')} could not speak", listed), key="rules")


def _run(found: Checked) -> Markup:
    heard = found.heard
    facts: list[tuple[str, Child]] = [
        ("Script", found.target),
        ("Optimizer steps", f"{found.taken:,}"),
        ("Runs", f"{found.runs:,}"),
        ("The first run", ENDS[heard.state].format(status=heard.status)),
        ("Took", duration(found.seconds)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(versions().items()))),
    ]
    if found.ignored:
        facts.append(("Ignored by comments", _count(found.ignored, "finding")))
    if heard.trouble:
        facts.append(("Not observed", heard.trouble))
    return section("How it was run", pairs(facts), _verbatim(heard.error), key="run")


def _verbatim(text: str) -> Markup | None:
    """A traceback, line by line: whatever stands in it is text."""
    if not text:
        return None
    return fold("What the script ended with", _lines(text))


def _lines(text: str) -> Markup:
    items = [element("li", element("code", _line(line))) for line in text.splitlines()[-MOST_ROWS:]]
    return element("ul", *items, class_="source verbatim")


def _count(many: int, noun: str) -> str:
    return f"{many:,} {noun}{'' if many == 1 else 's'}"


def _list(names: list[str]) -> str:
    shown = [name or "the network itself" for name in names[:3]]
    more = [f"{len(names) - 3:,} more"] if len(names) > 3 else []
    *first, last = [*shown, *more]
    return f"layer{'s' if len(names) > 1 else ''} {', '.join(first)}{' and ' if first else ''}{last}"
