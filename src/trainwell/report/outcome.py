"""What the test part said: confusion, each class, the confident mistakes, or predictions against truth."""

from trainwell.core.records.outcome import Mistake, Outcome
from trainwell.core.records.run import RunRecord
from trainwell.pictures.bars import recalls
from trainwell.pictures.confusion import confusion
from trainwell.pictures.scatter import predictions
from trainwell.pictures.text import number, percent, shorten
from trainwell.report.calibration import diagram
from trainwell.report.images import Shelf
from trainwell.report.markup import Child, Markup, element, together
from trainwell.report.parts import Numbering, fold, gallery, paragraph, picture, section, table

MOST_MISTAKES = 24


def test_part(run: RunRecord, shelf: Shelf, numbering: Numbering) -> Markup | None:
    """The final network on the test part.

    Args:
        run: finished or not.
        shelf: the run's pictures.
        numbering: of the page.
    Returns:
        A section; None while the test part is untouched.
    """
    outcome = run.outcome
    if outcome is None:
        return None
    body = _classes(run, outcome, numbering) if run.data.task == "classification" else _targets(run, outcome, numbering)
    return section("On the test part", body, _mistakes(outcome, shelf), key="test")


def _classes(run: RunRecord, outcome: Outcome, numbering: Numbering) -> Markup:
    names = run.data.output.names
    pairs = confused(outcome, names)
    worst = pairs[0] if pairs else None
    mixed = (
        f"Most often mistaken: class {worst[0]} for class {worst[1]}, {_times(worst[2])}."
        if worst
        else "No sample was mistaken."
    )
    weakest = min(outcome.classes, key=lambda one: one.recall if one.recall == one.recall else 2.0, default=None)
    seen = (
        f"Weakest class: {weakest.name}, {percent(weakest.recall)} recognized." if weakest else "No class was measured."
    )
    rows = [
        (
            one.name,
            f"{one.samples:,}",
            percent(one.precision),
            percent(one.recall),
            " to ".join(percent(end) for end in one.recall_interval),
        )
        for one in outcome.classes
    ]
    head = ("class", "test samples", "precision", "recall", "95% interval of recall")
    figures = table("Each class on the test part", head, rows, numeric=(1, 2, 3, 4))
    return together(
        gallery(
            picture(confusion(outcome.confusion, names), mixed, numbering) if outcome.confusion else None,
            diagram(outcome, numbering),
            picture(recalls(outcome.classes), seen, numbering) if outcome.classes else None,
        ),
        table(
            "Most often mistaken",
            ("truth", "taken for", "times"),
            [(a, b, f"{n:,}") for a, b, n in pairs[:5]],
            numeric=(2,),
        )
        if pairs
        else None,
        fold(f"Figures of all {len(rows):,} classes", figures) if rows else None,
    )


def confused(outcome: Outcome, names: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """Which class was taken for which, the most frequent first.

    Args:
        outcome: of a classification.
        names: of the classes.
    Returns:
        Truth, prediction and how often, at most 10.
    """
    wrong = [
        (names[i], names[j], count)
        for i, row in enumerate(outcome.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(wrong, key=lambda entry: -entry[2])[:10]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _targets(run: RunRecord, outcome: Outcome, numbering: Numbering) -> Markup:
    names = run.data.output.names
    rows = [(name, number(error)) for name, error in zip(names, outcome.rmse)]
    drawn = None
    if outcome.truth:
        seen = "A point on the line is a right prediction; its distance from the line is the error."
        drawn = picture(predictions(outcome.truth, outcome.predicted, names[0]), seen, numbering)
    errors = table("Root mean squared error, in the target's own unit", ("target", "error"), rows, numeric=(1,))
    return together(gallery(drawn, errors if rows else None))


def _mistakes(outcome: Outcome, shelf: Shelf) -> Markup | None:
    shown = outcome.mistakes[:MOST_MISTAKES]
    if not shown:
        return None
    pictured = any(one.picture for one in shown)
    body = element("ul", *(_card(one, shelf) for one in shown), class_="cards") if pictured else _listed(shown)
    return together(
        element("h3", "The most confident mistakes" if outcome.metric == "accuracy" else "The largest errors"),
        paragraph("Where the data is wrong and not the network, mend the data.", class_="why"),
        body,
    )


def _card(one: Mistake, shelf: Shelf) -> Markup:
    found = shelf.find(one.picture) if one.picture else None
    said = f"{one.truth} taken for {one.predicted}"
    image: Child = element("span", "picture missing", class_="missing")
    if found is not None:
        kind = "small" if found.is_small else None
        image = element("img", src=found.uri, alt=said, width=str(found.width), height=str(found.height), class_=kind)
    sure = f"{percent(one.probability)} sure" if one.probability == one.probability else None
    return element(
        "li",
        image,
        element("b", shorten(one.predicted, 40)),
        element("span", f"truth: {shorten(one.truth, 40)}"),
        element("span", sure) if sure else None,
        element("small", shorten(one.source, 60)),
    )


def _listed(shown: tuple[Mistake, ...]) -> Markup:
    rows = [(one.source, one.truth, one.predicted, percent(one.probability)) for one in shown]
    if all(one.probability != one.probability for one in shown):
        return table(
            "Truth and prediction", ("sample", "truth", "predicted"), [row[:3] for row in rows], numeric=(1, 2)
        )
    return table("Most confident first", ("sample", "truth", "predicted", "probability"), rows, numeric=(3,))
