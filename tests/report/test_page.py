"""The page of a run: whole, self-contained, deterministic, and deaf to what data says."""

import dataclasses
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Page, sync_playwright

from trainwell.core.errors import StoreError
from trainwell.core.records.evidence import Evidence, Grid, Next
from trainwell.core.records.run import RunRecord
from trainwell.pictures.text import clean
from trainwell.report.page import render, write
from trainwell.report.steps import rounds

CHROMIUM = Path("/usr/bin/chromium")
EXAMPLES = ("classification", "regression", "unfinished", "hostile", "many_classes")
VOID = {"meta", "img", "br"}
TAGS = VOID | {
    *("html", "head", "title", "style", "body", "header", "nav", "main", "footer", "section", "article", "div"),
    *("h1", "h2", "h3", "p", "a", "ul", "li", "dl", "dt", "dd", "strong", "b", "small", "span", "code"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption"),
    *("svg", "g", "path", "text", "defs", "clippath", "rect", "use", "tspan"),
}


class Reader(HTMLParser):
    """Checks that every element is closed in order, and keeps what it saw."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data.strip())

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def runs(examples: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunRecord]:
    return {name: getattr(examples, name)(tmp_path_factory.mktemp(name) / "runs" / name) for name in EXAMPLES}


@pytest.fixture(scope="module")
def pages(runs: dict[str, RunRecord]) -> dict[str, str]:
    return {name: render(run) for name, run in runs.items()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_is_well_formed_and_needs_nothing_from_outside(name: str, pages: dict[str, str]) -> None:
    reader = read(pages[name])
    assert reader.tags <= TAGS
    ids = [value for _, attribute, value in reader.attributes if attribute == "id"]
    assert len(ids) == len(set(ids))
    for tag, attribute, value in reader.attributes:
        assert not attribute.startswith("on"), (tag, attribute)
        if attribute == "href":
            assert value.startswith("#")
            assert value[1:] in ids
        if attribute == "src":
            assert value.startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
        if attribute == "style":
            assert all(target[1:] in ids for target in re.findall(r"url\(([^)]*)\)", value))
    assert pages[name].count("Content-Security-Policy") == 1
    assert "default-src 'none'" in next(
        value for _, key, value in reader.attributes if key == "content" and "src" in value
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_verdict_decision_and_finding_is_said(
    name: str, runs: dict[str, RunRecord], pages: dict[str, str]
) -> None:
    text, run = read(pages[name]).text, runs[name]
    assert clean(run.name) in text
    assert run.result is None or clean(run.result.headline) in text
    for visit in run.evidence:
        assert clean(visit.verdict) in text
        for finding in visit.findings:
            assert finding.code in text
            assert all(clean(remedy.text) in text for remedy in finding.remedies)
    for decision in run.decisions:
        assert clean(decision.text) in text
        assert clean(decision.why) in text
    for warning in run.data.warnings:
        assert clean(warning) in text
    for one in run.data.left_out:
        assert clean(one.name) in text
    for column in run.data.columns:
        assert clean(column.why) in text
    for version in run.settings.versions.values():
        assert clean(version) in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_is_a_few_hundred_kilobytes(name: str, pages: dict[str, str]) -> None:
    assert 40_000 < len(pages[name].encode()) < 450_000


@pytest.mark.parametrize("name", ["classification", "hostile"])
def test_equal_records_give_equal_pages(name: str, runs: dict[str, RunRecord], pages: dict[str, str]) -> None:
    assert render(dataclasses.replace(runs[name])) == pages[name]


def test_the_verdict_comes_first_and_the_steps_in_order(pages: dict[str, str]) -> None:
    page = pages["classification"]
    parts = ["verdict", "trust", "next", "steps", "kept", "test", "findings", "decisions", "data", "machine"]
    places = [page.index(f'<section id="{part}"') for part in parts]
    assert places == sorted(places)
    shown = [text for text in read(page).headings if "·" not in text]
    titles = ["Look at the data", "Check the initial loss", "Overfit a small sample", "Find the learning rate"]
    titles += ["Coarse grid", "Refined grid", "Look at the learning curves", "Go on or stop"]
    assert [text for text in shown if text in titles] == titles


def test_later_rounds_are_folded(pages: dict[str, str]) -> None:
    page = pages["classification"]
    assert page.count("<strong>Round 2</strong>") == 1
    folded = page[page.index("<strong>Round 2</strong>") :]
    folded = folded[: folded.index("<h2")]
    assert "Refined grid, visit 2" in folded
    assert "Refined grid, visit 2" not in page.replace(folded, "")


def test_a_new_round_begins_where_step_7_sends_back() -> None:
    def cut(*steps: int) -> list[list[int]]:
        visits = [Evidence(step=step, name="", visit=1, passed=True, verdict="", seconds=0.0) for step in steps]
        return [[visit.step for visit in one] for one in rounds(visits)]

    assert cut() == []
    assert cut(0, 1, 1, 2, 1, 2, 3) == [[0, 1, 1, 2, 1, 2, 3]]
    assert cut(0, 4, 4, 5, 6, 7, 5, 6, 7, 4, 5, 6) == [[0, 4, 4, 5, 6, 7], [5, 6, 7], [4, 5, 6]]


def test_what_was_measured_is_written(pages: dict[str, str]) -> None:
    text = read(pages["classification"]).text
    for said in (
        "98.6%",
        "on 360 test samples, touched once; 95% interval 96.8% to 99.4%",
        "The network is above the best yardstick on the same test data: HistGradientBoosting, 96.4%.",
        "trainwell predict digits photo.png",
        "Most often mistaken: class 8 for class 1, 2 times.",
        "Weakest class: 8, 94.4% recognized.",
        "horizontal flip",
        "97.0% sure",
    ):
        assert said in text
    regression = read(pages["regression"]).text
    for said in (
        "0.447",
        "interval 0.290 to 0.570",
        "is typically off by 56.3",
        "Every value is another: an identifier.",
    ):
        assert said in regression


def test_a_better_yardstick_is_said_with_its_doubt(pages: dict[str, str]) -> None:
    text = read(pages["regression"]).text
    assert "The network is below the best yardstick on the same test data: HistGradientBoosting, 0.460." in text
    assert "HistGradientBoosting reached 0.460 on the same test data: no further than chance may put it." in text


def test_a_yardstick_clearly_ahead_is_recommended(runs: dict[str, RunRecord]) -> None:
    run = runs["regression"]
    assert run.outcome is not None
    assert "Use HistGradientBoosting instead" not in render(run)
    worse = dataclasses.replace(run, outcome=dataclasses.replace(run.outcome, value=0.1, interval=(0.0, 0.2)))
    page = render(worse)
    assert "Use HistGradientBoosting instead" in page
    assert "HistGradientBoosting reached 0.460 on the same test data: clearly ahead." in page


def test_only_what_fit_could_not_do_itself_is_left_to_the_reader(pages: dict[str, str]) -> None:
    page = pages["classification"]
    advice = page[page.index('<section id="next"') : page.index('<section id="steps"')]
    assert "Use Leaky ReLU, which does not die." in advice
    assert "Begin the bias at zero." not in advice


def test_without_a_clock_no_time_is_told(runs: dict[str, RunRecord]) -> None:
    run = runs["classification"]
    assert run.result is not None
    simple = tuple(dataclasses.replace(one, seconds=0.0) for one in run.result.yardsticks)
    evidence = tuple(dataclasses.replace(visit, seconds=0.0) for visit in run.evidence)
    result = dataclasses.replace(run.result, seconds=0.0, yardsticks=simple)
    text = read(render(dataclasses.replace(run, evidence=evidence, result=result))).text
    assert "0.0 s" not in text
    assert "Took" not in text


def test_noise_is_not_sold_as_skill(runs: dict[str, RunRecord], pages: dict[str, str]) -> None:
    # Of no test sample at all, only that nothing is known can be said.
    assert "do not rely on its predictions" in pages["hostile"]
    assert "do not rely on its predictions" not in pages["classification"]
    run = runs["classification"]
    assert run.result is not None
    nothing = dataclasses.replace(run, result=dataclasses.replace(run.result, learnable=False))
    assert "do not use its predictions" in render(nothing)
    assert "do not use its predictions" not in pages["classification"]


def test_an_unfinished_run_says_how_to_go_on(pages: dict[str, str]) -> None:
    text = read(pages["unfinished"]).text
    assert "This run is not finished: step 3, find the learning rate, was the last that ended." in text
    assert "trainwell fit --resume digits-2" in text
    assert "trainwell predict" not in text
    assert "The picture montage.png is missing from the evidence folder." in text


def test_a_run_that_has_only_begun_has_a_page(runs: dict[str, RunRecord]) -> None:
    begun = dataclasses.replace(runs["unfinished"], evidence=(), trials=(), decisions=())
    assert "no step has ended yet" in read(render(begun)).text


def test_a_long_run_keeps_a_short_page(examples: ModuleType, runs: dict[str, RunRecord]) -> None:
    run = runs["unfinished"]
    many = tuple(dataclasses.replace(run.decisions[0], number=number) for number in range(5_000))
    trials = tuple(examples.trial(number, "coarse", 0.1) for number in range(1_000))
    page = render(dataclasses.replace(run, decisions=many, trials=trials))
    assert len(page.encode()) < 250_000
    assert "The last 200 of 5,000 decisions" in page
    assert "800 more stand in the store of the run." in page


def test_photographs_stand_in_the_page(pages: dict[str, str]) -> None:
    assert pages["classification"].count('src="data:image/png;base64,') == 4
    assert "picture missing" not in pages["classification"]


def test_pictures_have_a_sentence_for_those_who_do_not_see_them(pages: dict[str, str]) -> None:
    for name in EXAMPLES:
        reader = read(pages[name])
        labels = [value for tag, key, value in reader.attributes if tag == "svg" and key == "aria-label"]
        assert len(labels) == pages[name].count("<svg ") > 0
        assert all(len(label) > 5 for label in labels)
        assert all(value for tag, key, value in reader.attributes if tag == "img" and key == "alt")


def test_a_name_with_a_space_is_quoted_for_the_shell(runs: dict[str, RunRecord]) -> None:
    run = dataclasses.replace(runs["unfinished"], name="my run; rm -rf")
    assert "trainwell fit --resume 'my run; rm -rf'" in read(render(run)).text


@pytest.mark.parametrize(
    ("n", "interval", "said"),
    [
        (4, (0.15, 0.85), "So few test samples do not show whether the network learnt anything"),
        (360, (0.45, 0.55), "The network found nothing that holds on data it was not trained on"),
    ],
)
def test_few_test_samples_are_not_taken_for_a_network_that_learnt_nothing(
    runs: dict[str, RunRecord], n: int, interval: tuple[float, float], said: str
) -> None:
    run = runs["classification"]
    assert run.outcome is not None
    assert run.result is not None
    outcome = dataclasses.replace(run.outcome, value=0.5, n=n, interval=interval)
    result = dataclasses.replace(run.result, learnable=False)
    assert said in read(render(dataclasses.replace(run, outcome=outcome, result=result))).text


def test_write_is_whole_or_not_at_all(
    runs: dict[str, RunRecord], pages: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write(runs["unfinished"], path)
    assert path.read_text() == pages["unfinished"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask, "a report is handed around"

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainwell.core.files.os.fsync", full)
    with pytest.raises(StoreError, match="cannot be written: the disk is full"):
        write(runs["regression"], path)
    assert path.read_text() == pages["unfinished"]
    assert list(tmp_path.iterdir()) == [path]


def listen(page: Page, asked: list[str], logged: list[str]) -> None:
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: logged.append(message.text))
    page.on("pageerror", lambda error: logged.append(str(error)))


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
@pytest.mark.parametrize("name", EXAMPLES)
def test_in_a_browser_nothing_runs_nothing_is_fetched_and_nothing_sticks_out(
    name: str, runs: dict[str, RunRecord], pages: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(pages[name])
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*quiet, "--disable-sync"])
        try:
            for width in (390, 1280):
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark")
                asked: list[str] = []
                logged: list[str] = []
                listen(page, asked, logged)
                page.goto(path.as_uri())
                page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
                assert [url for url in asked if not url.startswith("data:image/")] == [path.as_uri()]
                assert logged == []
                assert page.title() == f"{clean(runs[name].name)} · trainwell".strip()
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.evaluate("document.querySelectorAll('script, iframe, object, embed').length") == 0
                page.close()
        finally:
            browser.close()


def test_one_training_is_called_no_search(runs: dict[str, RunRecord]) -> None:
    run = runs["classification"]
    alone = tuple(
        dataclasses.replace(
            visit,
            detail=tuple(
                dataclasses.replace(each, points=each.points[:1])
                if isinstance(each, Grid)
                else dataclasses.replace(each, go_on=False)
                if isinstance(each, Next)
                else each
                for each in visit.detail
            ),
        )
        for visit in run.evidence
    )
    said = read(render(dataclasses.replace(run, evidence=alone))).text
    assert "The budget allowed one training and no search: a longer --budget would try others." in said
    assert "The search has ended" not in said
