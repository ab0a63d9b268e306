"""The page of a check: of two real checks, one whose fault has a line and one whose cause had to be tried."""

import dataclasses
import html
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

from trainwell.capture.patches import Patch
from trainwell.checking import Checked, check
from trainwell.core.records.finding import Remedy, Where
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.seen.networks import LayerCourse
from trainwell.diagnosis.forked import end
from trainwell.pictures.first_steps import first_steps, named
from trainwell.pictures.layers import MOST_COLUMNS, MOST_ROWS, chosen, layer_gradients, layer_updates
from trainwell.pictures.svg import to_svg
from trainwell.pictures.text import number
from trainwell.report.check_page import render
from trainwell.report.check_report import CheckReport

EXAMPLES = Path(__file__).parents[2] / "examples" / "broken"
CHROMIUM = Path("/usr/bin/chromium")
VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Checks that every element is closed in order, and keeps what it saw."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.here: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append("here" if ("class", "here") in attrs else tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() in (tag, "here")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "here" in self.open:
            self.here.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def checked(script: str, *, select: tuple[str, ...] | None = None) -> Checked:
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(EXAMPLES)
        return check(script, steps=30, select=select)


@pytest.fixture(scope="module")
def mixed() -> Checked:
    return checked("view_for_transpose.py")


@pytest.fixture(scope="module")
def fast() -> Checked:
    return checked("learning_rate.py", select=("OPT002",))


@pytest.fixture(autouse=True)
def _beside_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)


def healthy(found: Checked) -> Checked:
    return dataclasses.replace(found, diagnosis=dataclasses.replace(found.diagnosis, findings=()))


def test_the_page_is_well_formed_and_needs_nothing_from_outside(mixed: Checked, fast: Checked) -> None:
    for found in (mixed, fast, healthy(mixed)):
        page = render(found)
        reader = Reader(page)
        ids = reader.values("id")
        assert len(ids) == len(set(ids))
        assert all(link.startswith(("#", "data:image/png;base64,")) for link in reader.values("href"))
        assert {link[1:] for link in reader.values("href") if link.startswith("#")} <= set(ids)
        assert not {"script", "link", "iframe", "img"} & set(reader.tags)
        assert not [name for name, _ in reader.attributes if name.startswith("on")]
        assert sum("default-src 'none'" in each for each in reader.values("content")) == 1
        assert all(len(label) > 5 for label in reader.values("aria-label"))
        assert len(page.encode()) < 200_000
        assert render(found) == page


def test_the_headline_comes_first_with_line_evidence_and_remedy(mixed: Checked) -> None:
    page = render(mixed)
    parts = ["verdict", "first-steps", "layers", "rules", "run"]
    places = [page.index(f'<section id="{part}"') for part in parts]
    assert places == sorted(places)
    finding = mixed.diagnosis.headline
    assert finding is not None
    reader = Reader(page)
    # Code stands in elements of its own.
    text = reader.text.replace(" ,", ",")
    assert finding.message in text
    assert all(remedy.text.split("`")[0].strip() in text for remedy in finding.remedies)
    assert all(name.replace("_", " ") in text for name in finding.evidence)
    assert f"{finding.where.file}, line {finding.where.line}" in text
    line = (EXAMPLES / "view_for_transpose.py").read_text().splitlines()[(finding.where.line or 0) - 1]
    assert line.strip() == "loss = criterion(model(pictures[chosen]), labels[chosen])"
    # Each finding about that line shows it.
    assert {each.strip() for each in reader.here if each.strip()} == {line.strip()}
    assert all(each.code in text and each.why in text for each in mixed.diagnosis.not_run)
    assert "torch 2." in text


def test_what_was_tried_stands_beside_what_is(fast: Checked) -> None:
    assert fast.forks is not None
    reader = Reader(render(fast))
    for fork in fast.forks.changed:
        # In the picture's legend, and in the table.
        assert reader.texts.count(named(fork)) == 2
        assert number(end(fork.values)) in reader.texts
    # The line that made the optimizer.
    assert reader.values("class").count("source") == 1
    assert "torch.optim" in "".join(reader.here)


def test_a_remedy_that_was_tried_stands_with_its_lines_and_what_it_did(mixed: Checked) -> None:
    before = (EXAMPLES / "view_for_transpose.py").read_text()
    patch = Patch(
        file="view_for_transpose.py", before=before, after=before.replace("view(8, -1, 8)", "transpose(0, 1)")
    )
    tried = Remedy(text="Use `transpose`.", patch=patch.diff(), loss_before=2.3, loss_after=1.9, seeds=3, proven=True)
    failed = Remedy(text="Use `transpose`.", unproven="DEP001 is still found")
    first, *others = mixed.diagnosis.findings
    findings = (dataclasses.replace(first, remedies=(tried, failed)), *others)
    reader = Reader(
        render(dataclasses.replace(mixed, diagnosis=dataclasses.replace(mixed.diagnosis, findings=findings)))
    )
    assert "Held-out loss over 3 pairs of trainings: 1.9 with it, 2.3 without." in reader.text
    assert "+        sequence = pictures.transpose(0, 1)" in reader.texts
    assert "Not proven: DEP001 is still found." in reader.text
    # Beside the finding, and where what was tried is told.
    assert reader.values("class").count("good badge") == 2


def test_a_healthy_script_has_a_page(mixed: Checked) -> None:
    text = Reader(render(healthy(mixed))).text
    assert "Nothing wrong in the first 30 optimizer steps." in text
    assert "Further findings" not in text


def test_what_scripts_and_findings_say_is_text(mixed: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("\n\n\tx = '<script>alert(1)</script>'" + " # é" * 100)
    finding = dataclasses.replace(
        mixed.diagnosis.findings[0],
        message="<b>bold</b>",
        where=Where(file="a.py", line=3, layer="<i>"),
        remedies=(Remedy(text="Write `</code><script>`.", proven=True),),
    )
    heard = dataclasses.replace(mixed.heard, state="raised", error="ValueError: </ul><script>\n\x1b[31mred")
    found = dataclasses.replace(
        mixed,
        target="<script>",
        heard=heard,
        diagnosis=dataclasses.replace(mixed.diagnosis, findings=(finding,)),
    )
    page = render(found)
    assert "<script" not in page
    assert "\x1b" not in page
    reader = Reader(page)
    assert "".join(reader.here).startswith("x = '<script>alert(1)</script>' # é")
    assert "".join(reader.here).endswith("…")
    assert "proven" in reader.text
    gone = dataclasses.replace(finding, where=Where(file="gone.py", line=3))
    diagnosis = dataclasses.replace(mixed.diagnosis, findings=(gone,))
    assert "gone.py, line 3" in Reader(render(dataclasses.replace(mixed, diagnosis=diagnosis))).text


def test_in_a_notebook_the_page_stands_in_a_frame_of_its_own(mixed: Checked) -> None:
    report = CheckReport(mixed)
    shown = report._repr_html_()
    framed = re.fullmatch(r'<iframe sandbox title="[\w ]+" style="[^"<>]+" srcdoc="([^"<>]*)"></iframe>', shown)
    assert framed is not None
    assert html.unescape(framed[1]) == render(mixed, contents=False)
    assert "<nav" not in html.unescape(framed[1])
    assert repr(report).startswith("<check of view_for_transpose.py: DEP001 batch-dimension-mixed at view_for_tr")
    assert not report.ok
    assert CheckReport(healthy(mixed)).ok
    assert repr(CheckReport(healthy(mixed))) == "<check of view_for_transpose.py: nothing wrong in 30 optimizer steps>"


def test_a_report_is_written(mixed: Checked, tmp_path: Path) -> None:
    path = CheckReport(mixed).write(tmp_path / "check.html")
    assert path.read_text() == render(mixed) == CheckReport(mixed).to_html()


def test_a_map_has_a_row_a_layer_and_a_column_a_step(mixed: Checked) -> None:
    steps = mixed.heard.steps
    assert steps is not None
    assert [each.name for each in steps.course] == ["rows", "output"]
    kinds = {"rows": "GRU", "output": "Linear"}
    for draw, values in ((layer_updates, "update"), (layer_gradients, "gradient")):
        panel, scale = draw(steps.course, kinds=kinds, marked={"rows"}).axes
        strengths = np.asarray(panel.images[0].get_array())[..., 3]
        assert strengths.shape == (2, 30)
        told = np.array([getattr(each, values) for each in steps.course])
        # The order of the numbers is the order of the strengths.
        assert np.array_equal(np.argsort(strengths, axis=None), np.argsort(told, axis=None))
        assert strengths.max() == 1.0
        labels = panel.get_yticklabels()
        assert [(each.get_text(), each.get_fontweight()) for each in labels] == [
            ("GRU rows", "bold"),
            ("Linear output", "normal"),
        ]
        assert "norm of " in scale.get_xlabel()


def test_what_is_no_number_on_the_scale_looks_otherwise() -> None:
    course = (
        LayerCourse(name="a", update=(1e-3, 0.0, 0.0, 1e-2), gradient=()),
        LayerCourse(name="b", update=(math.nan, math.inf, 1e-40, 1.0), gradient=()),
    )
    panel = layer_updates(course).axes[0]
    cells = np.asarray(panel.images[0].get_array())
    assert cells[1, 0, 3] == 0.0  # not known: nothing
    assert cells[1, 1, 0] > cells[1, 1, 2]  # not finite: orange
    assert [np.asarray(line.get_xdata()).tolist() for line in panel.get_lines()] == [
        [1.5, 3.5]
    ]  # exactly 0: a line through both
    legend = panel.get_legend()
    assert legend is not None
    assert [each.get_text() for each in legend.get_texts()] == ["exactly 0", "not finite", "not known"]
    nothing = layer_gradients(course)
    assert [each.get_text() for each in nothing.axes[0].texts] == ["No step could be measured."]


def test_a_large_map_keeps_its_ends_and_what_is_meant() -> None:
    names = [f"layer{place}" for place in range(500)]
    kept = chosen(names, {"layer7", "layer493"})
    assert MOST_ROWS - 2 <= len(kept) <= MOST_ROWS
    assert {0, 7, 493, 499} <= set(kept)
    assert max(np.diff(kept)) < 2.5 * 500 / MOST_ROWS
    values = tuple(1e-3 * 1.01**step for step in range(1000))
    figure = layer_updates([LayerCourse(name=name, update=values, gradient=()) for name in names])
    assert np.asarray(figure.axes[0].images[0].get_array()).shape == (MOST_ROWS, MOST_COLUMNS, 4)
    assert figure.axes[0].get_title(loc="left") == f"Update of each layer's weights: {MOST_ROWS} of 500"
    assert len(to_svg(figure, key="m", label="large")) < 60_000


def test_a_loss_that_is_lost_ends_in_a_cross(fast: Checked) -> None:
    assert fast.forks is not None
    lost = (2.0, 3e5, math.inf, math.nan)
    many = Forks(
        unchanged=lost, changed=(*fast.forks.changed, Fork(changed="no weight decay or dropout", values=(2.0, 1.0)))
    )
    figure = first_steps(lost, many)
    [panel] = figure.axes
    assert panel.get_yscale() == "log"
    assert [line.get_marker() for line in panel.get_lines() if line.get_marker() != "None"] == ["x"]
    assert [each.get_text() for each in figure.legends[0].get_texts()] == ["as it is", *map(named, many.changed)]
    assert [each.get_text() for each in first_steps((math.nan,)).axes[0].texts] == ["No loss was a finite number."]


def listen(page: Page, asked: list[str], logged: list[str]) -> None:
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: logged.append(message.text))


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
def test_in_a_browser_nothing_is_fetched_and_nothing_sticks_out(mixed: Checked, fast: Checked, tmp_path: Path) -> None:
    frame = tmp_path / "notebook.html"
    frame.write_text(f"<!doctype html><title>notebook</title>{CheckReport(mixed)._repr_html_()}")
    pages = [CheckReport(found).write(tmp_path / f"{found.target}.html") for found in (mixed, fast)]
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*quiet, "--disable-sync"])
        try:
            for path in (*pages, frame):
                for width in (390, 1280):
                    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark")
                    asked: list[str] = []
                    logged: list[str] = []
                    listen(page, asked, logged)
                    page.goto(path.as_uri())
                    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
                    assert [url for url in asked if not url.startswith(("data:image/", "about:"))] == [path.as_uri()]
                    assert logged == []
                    assert page.evaluate("document.documentElement.scrollWidth") <= width
                    if path == frame:
                        assert "DEP001" in (page.frames[1].text_content("h2") or "")
                    page.close()
        finally:
            browser.close()
