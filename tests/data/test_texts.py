"""Many strings in one piece behave as a list of them."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.data.folders import locate, walk
from trainwell.data.raw import PictureFiles
from trainwell.data.texts import Chosen, Texts

ANY = st.binary(max_size=8).map(os.fsdecode) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=80, deadline=None)
@given(st.lists(ANY, max_size=20), st.integers(-25, 25), st.integers(-25, 25), st.sampled_from([1, 2, -1]))
def test_as_a_list(texts: list[str], start: int, stop: int, step: int) -> None:
    made = Texts(texts)
    assert list(made) == texts
    assert made[start:stop:step] == texts[start:stop:step]
    assert list(made.written_as(lambda text: f"<{text}>")) == [f"<{text}>" for text in texts]
    index = np.arange(len(texts))[start:stop:step]
    assert list(Chosen(made, index)) == Chosen(made, index)[:] == texts[start:stop:step]
    for i in range(-len(texts), len(texts)):
        assert made[i] == texts[i]


def test_more_than_a_block() -> None:
    texts = [str(i) for i in range(10_000)]
    assert list(Texts(iter(texts))) == texts


def test_past_the_end() -> None:
    with pytest.raises(IndexError):
        Texts(["a"])[1]


@pytest.mark.parametrize("relative", [".", "root", "root/"])
def test_names_are_paths_below_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: str) -> None:
    root = tmp_path / "root"
    for name in ("b/2.png", "b/1.png", "a/deep/er/x.png", "a/y.png", "a/.hidden.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    monkeypatch.chdir(root if relative == "." else tmp_path)
    raw = locate(Path(relative)).read()
    assert list(raw.names) == ["a/y.png", "a/deep/er/x.png", "b/1.png", "b/2.png"]
    assert isinstance(raw.inputs, PictureFiles)
    assert [Path(path).read_text() for path in raw.inputs.paths] == list(raw.names)
    assert isinstance(raw.target, pl.DataFrame)
    assert raw.target["class"].to_list() == ["a", "a", "b", "b"]
    assert [os.path.relpath(path, root) for path in walk(str(root))[0]] == list(raw.names)
