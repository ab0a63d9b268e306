"""Every Python example of the pages and of the README runs: the blocks of a page one after the other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if path.is_file()]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[int, str]]:
    text = page.read_text()
    return [(text[: match.start()].count("\n") + 1, match[1]) for match in BLOCK.finditer(text)]


def test_the_chapters_have_examples() -> None:
    chapters = [page for page in PAGES if page.parent.name == "chapters"]
    assert len(chapters) == 8
    assert all(blocks(page) for page in chapters)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "example", "runs": tmp_path / "runs"}
    for line, code in blocks(page):
        # Padded, so that a traceback names the line of the page.
        exec(compile("\n" * line + code, str(page), "exec"), namespace)
