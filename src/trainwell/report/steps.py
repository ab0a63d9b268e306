"""The seven steps in order, each with its verdict, pictures, findings and numbers; later rounds folded."""

from collections.abc import Sequence

from trainwell.core.records.evidence import Evidence
from trainwell.core.records.run import RunRecord
from trainwell.pictures.text import duration, number
from trainwell.report.details import detail
from trainwell.report.findings import short
from trainwell.report.images import Shelf
from trainwell.report.markup import Markup, element, together
from trainwell.report.parts import Numbering, bullets, fold, gallery, paragraph, section, table
from trainwell.report.verdict import title

WHY = (
    "Most faults of a training are faults of its data, and simple models say what a network has to beat.",
    "A network that knows nothing should do as well as guessing; if it does not, something is wrong before it begins.",
    "A network that cannot learn a few batches by heart will not learn a data set.",
    "The rate is right where the loss falls fastest and is still far from where it diverges.",
    "Rates and weight decays around step 3, trained briefly; hopeless ones are stopped early.",
    "The best points again: finer, longer, with what step 6 asked for.",
    "The shape of the curves says what is missing: capacity, regularization, time or a smaller rate.",
    "Another round where something may still improve and budget is left.",
)


def rounds(evidence: Sequence[Evidence]) -> list[list[Evidence]]:
    """The visits, cut where step 7 sent the recipe back to its grids.

    Args:
        evidence: visits in order.
    Returns:
        The first pass through all steps, then one list a round.
    """
    cut: list[list[Evidence]] = []
    for visit in evidence:
        if not cut or (visit.step in (4, 5) and cut[-1][-1].step >= 6):
            cut.append([])
        cut[-1].append(visit)
    return cut


def steps(run: RunRecord, shelf: Shelf, numbering: Numbering) -> Markup:
    """All visits of all steps.

    Args:
        run: finished or not.
        shelf: the run's pictures.
        numbering: of the page.
    Returns:
        A section.
    """
    passes = rounds(run.evidence)
    if not passes:
        return section("The seven steps", paragraph("No step has ended yet."), key="steps")
    first = [_visit(visit, run, shelf, numbering) for visit in passes[0]]
    later = [
        fold(
            together(element("strong", f"Round {number_of_round}"), element("span", _reached(visits))),
            *[_visit(visit, run, shelf, numbering) for visit in visits],
        )
        for number_of_round, visits in enumerate(passes[1:], start=2)
    ]
    return section("The seven steps", *first, *later, key="steps")


def _reached(visits: list[Evidence]) -> str:
    grids = [visit for visit in visits if visit.step in (4, 5)]
    return (grids or visits)[-1].verdict


def _visit(visit: Evidence, run: RunRecord, shelf: Shelf, numbering: Numbering) -> Markup:
    again = f", visit {visit.visit}" if visit.visit > 1 else ""
    state = element(
        "span", "passed" if visit.passed else "not passed", class_="good badge" if visit.passed else "bad badge"
    )
    took = element("span", duration(visit.seconds), class_="took") if visit.seconds > 0 else None
    shown = [detail(one, run, shelf, numbering) for one in visit.detail]
    numbers = [(name, number(value)) for name, value in visit.numbers.items()]
    return element(
        "article",
        element("h3", element("span", f"{visit.step}", class_="step"), f" {title(visit.step)}{again} ", state, took),
        paragraph(visit.verdict, class_="verdict"),
        paragraph(WHY[visit.step], class_="why") if visit.visit == 1 and 0 <= visit.step < len(WHY) else None,
        bullets([short(one) for one in visit.findings]),
        gallery(*(drawn for one in shown for drawn in one.pictures)),
        *(one.below for one in shown),
        fold("Numbers", table(f"Numbers of step {visit.step}", ("name", "value"), numbers, numeric=(1,)))
        if numbers
        else None,
    )
