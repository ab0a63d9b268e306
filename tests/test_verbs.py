"""verbs.py: the program's verbs as Python functions, and what `import trainwell` offers."""

import re
from pathlib import Path
from typing import Any

import pytest

import trainwell
from trainwell import verbs
from trainwell.core.errors import ModelError, StoreError


def test_fit_load_report_and_resume(tmp_path: Path, small_table: Any) -> None:
    told: list[Path] = []
    found = verbs.fit(small_table, budget_steps=60, runs=tmp_path, name="a", on_folder=told.append)
    assert told == [found.folder] == [tmp_path / "a"]
    page = found.report.read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["']https?:""", page)
    wanted = found.model.predict(small_table[0][:5])
    assert verbs.load("a", runs=tmp_path).predict(small_table[0][:5]) == wanted
    assert verbs.load(tmp_path / "a").predict(small_table[0][:5]) == wanted
    assert verbs.load(tmp_path / "a" / "model").predict(small_table[0][:5]) == wanted
    found.report.unlink()
    assert verbs.report("a", runs=tmp_path) == found.report
    assert found.report.read_text(encoding="utf-8") == page
    again = verbs.resume("a", small_table, runs=tmp_path)
    assert again.result == found.result


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="A run must exist"):
        verbs.load("a", runs=tmp_path)
    with pytest.raises(StoreError, match="A run must exist"):
        verbs.report("a", runs=tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "settings.json").write_text("{}")
    with pytest.raises(ModelError, match="must be a model folder"):
        verbs.load("a", runs=tmp_path)


def test_the_package_offers_its_verbs_lazily() -> None:
    assert trainwell.fit is verbs.fit
    assert {"fit", "load"} <= set(dir(trainwell))
    with pytest.raises(AttributeError, match="nonsense"):
        trainwell.nonsense  # noqa: B018 - looking it up is the point
