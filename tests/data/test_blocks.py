"""Tables in blocks: what is prepared does not depend on how large they are."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainwell.core.errors import DataError, StoreError
from trainwell.data import blocks, table_text, tables
from trainwell.data.blocks import Distinct, RowNames, column_in_blocks, stored, table_in_blocks
from trainwell.data.dataset import Dataset
from trainwell.data.duplicates import groups_of_rows, same
from trainwell.data.kinds import counts_in, kind_of
from trainwell.data.prepare import prepare
from trainwell.data.raw import UNDECIDED
from trainwell.data.splits import draw_parts, part_size
from trainwell.data.table_text import open_text
from trainwell.data.tables import read_table

cell = st.one_of(
    st.none(),
    st.text(alphabet='ab1.,-é"\n', max_size=4),
    st.integers(-5, 300).map(str),
    st.sampled_from(["nan", "inf", "2020-01-02", "1,234", "2021-02-03", "true"]),
)
row = st.tuples(cell, cell, st.integers(0, 9).map(str), st.sampled_from(["no", "yes"]))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Blocks of a few rows."""
    shrink(monkeypatch)
    yield monkeypatch
    monkeypatch.undo()


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "CELLS", 8)
    monkeypatch.setattr(blocks, "FEWEST_ROWS", 2)
    monkeypatch.setattr(table_text, "_PIECE_BYTES", 32)
    for name in ("_BLOCK_BYTES", "_MOST_BLOCK_BYTES"):
        monkeypatch.setattr(tables, name, 48)


def files_of(data: Dataset) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in data.folder.iterdir()}


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(row, min_size=12, max_size=60), target=st.sampled_from(["y", "c"]))
def test_any_table_is_the_same_in_small_blocks(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, ...]], target: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abcy", pl.String), orient="row")
    frame.write_csv(folder / "t.csv")
    found: list[dict[str, bytes] | str] = []
    for size in ("usual", "small"):
        with pytest.MonkeyPatch.context() as patch:
            if size == "small":
                shrink(patch)
            try:
                found.append(files_of(prepare(folder / "t.csv", target=target, cache=folder / size)))
            except DataError as error:
                found.append(str(error))
    assert found[0] == found[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_letters_and_line_ends(tmp_path: Path, tiny: pytest.MonkeyPatch, encoding: str, end: str) -> None:
    lines = ["größe;text;y", *(f'{i * 7 % 31};"é;{i}";{"ab"[i % 2]}' for i in range(50)), ""]
    (tmp_path / "t.csv").write_bytes(end.join(lines).encode(encoding))
    frame, warnings = read_table(tmp_path / "t.csv")
    assert frame.columns == ["größe", "text", "y"]
    assert frame["text"].to_list() == [f"é;{i}" for i in range(50)]
    assert frame["größe"].to_list() == [str(i * 7 % 31) for i in range(50)]
    assert bool(warnings) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (b"1,2,3,4,5\n", "line 42 has 5 cells where the header has 3"),
        (b'1,"2,x\n' + b"1,2,z\n" * 9, "a quote is not closed"),
        (b"1,\x00,z\n", "holds binary data"),
    ],
)
def test_bad_line_far_behind(tmp_path: Path, tiny: pytest.MonkeyPatch, extra: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b,y\n" + b"1,2,x\n" * 40 + extra + b"1,2,x\n" * 40)
    with pytest.raises(DataError, match=message):
        prepare(tmp_path / "t.csv", target="y", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_damaged_utf16_far_behind(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_bytes(("a,y\n" + "1,x\n" * 99).encode("utf-16") + b"\x00\xd8")
    with pytest.raises(DataError, match="its UTF-16 text is damaged"):
        read_table(tmp_path / "t.csv")


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet='ab",\n', min_size=1, max_size=80), size=st.integers(1, 40))
def test_records_are_whole(tmp_path_factory: pytest.TempPathFactory, text: str, size: int) -> None:
    path = tmp_path_factory.mktemp("records") / "t.csv"
    path.write_bytes(b"h\n" + text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_text, "_PIECE_BYTES", 7)
        found = list(open_text(path, "t.csv").records(size))
    assert b"".join(found) == path.read_bytes()
    assert all(block.endswith(b"\n") and not block.count(b'"') % 2 for block in found[:-1])


def test_blocks_are_cut(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "1,x\n" * 99)
    assert len(list(open_text(tmp_path / "t.csv", "t.csv").records(48))) > 5


def test_nothing_stays_of_the_blocks(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i % 17},{'pq'[i % 2]}\n" for i in range(99)))
    data = prepare(tmp_path / "t.csv", target="y", cache=tmp_path / "cache")
    assert set(files_of(data)) == {f"{name}.json" for name in ("data", "encoder")} | {
        "inputs.npy",
        "names.txt",
        "splits.npz",
        "targets.npy",
    }
    assert data.names[98] == "row 99"


def test_no_room_for_the_blocks(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> tuple[int, int]:
        raise OSError(28, "No space left on device")

    tiny.setattr(blocks, "_append", full)
    (tmp_path / "t.csv").write_text("a,y\n" + "1,x\n2,y\n" * 40)
    with pytest.raises(StoreError, match=r"must be written to .* but: No space left on device"):
        prepare(tmp_path / "t.csv", target="y", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.fixture
def frame() -> pl.DataFrame:
    draw = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "number": pl.Series(draw.integers(0, 9, 200)).cast(pl.Float64).set(pl.Series(draw.random(200) < 0.1), None),
            "zero": [0.0, -0.0] * 100,
            "text": [["a", "b ", "?", "1,5", None][i] for i in draw.integers(0, 5, 200)],
            "date": pl.Series(draw.integers(0, 99, 200).astype("int32")).cast(pl.Date),
            "flag": draw.random(200) < 0.5,
            "own": [f"t{i}" for i in range(200)],
            "count": range(200),
        }
    )


def test_stored_or_not_it_is_the_same(frame: pl.DataFrame, tmp_path: Path) -> None:
    kept = np.flatnonzero(np.arange(200) % 7 > 1)
    there = stored((frame[start : start + 30] for start in range(0, 200, 30)), tmp_path)
    names = ["text", "number"]
    assert (there.columns, there.height, there.schema) == (frame.columns, 200, dict(frame.schema))
    assert pl.concat(there.frames(names)).equals(frame.select(names))
    assert pl.concat(there.frames(names, rows=kept)).equals(frame.select(names)[kept])
    assert there.select(["own"]).renamed(["mine"]).column("mine").total(len) == 200


def test_columns_look_the_same_in_blocks(frame: pl.DataFrame, tiny: pytest.MonkeyPatch) -> None:
    for column in frame.iter_columns():
        tiny.setattr(blocks, "FEWEST_ROWS", 2)
        parts = list(column_in_blocks(column).blocks())
        assert len(parts) > 20
        counts, kind = counts_in(column), kind_of(column)
        tiny.setattr(blocks, "FEWEST_ROWS", 1000)
        assert (counts_in(column), kind_of(column)) == (counts, kind)
        assert counts.distinct == column.drop_nulls().n_unique()


def test_rows_group_the_same_in_blocks(frame: pl.DataFrame, tiny: pytest.MonkeyPatch) -> None:
    twice = pl.concat([frame, frame.reverse()])
    kinds = tuple(kind for kind, _ in map(kind_of, twice.iter_columns()) if kind is not None)
    small = groups_of_rows(twice, kinds)
    tiny.undo()
    assert len(list(table_in_blocks(twice).frames(["own"]))) == 1
    assert (small == groups_of_rows(twice, kinds)).all()
    assert (small[:200] == small[200:][::-1]).all()


@given(st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=60), st.integers(1, 60))
def test_distinct_values(values: list[int | None], size: int) -> None:
    column = pl.Series(values, dtype=pl.Int64)
    seen = Distinct(len(column))
    for start in range(0, len(column), size):
        seen.add(column[start : start + size])
    assert seen.count() == len(set(values) - {None})


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_same_numbers_keys_as_they_occur(keys: list[int]) -> None:
    first: dict[int, int] = {}
    assert same(np.array(keys, np.uint64)).tolist() == [first.setdefault(key, len(first)) for key in keys]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 25), st.sampled_from([-1, -1, -1, 0, 1])), min_size=4),
    st.integers(0, 5),
)
def test_parts_as_drawn_group_by_group(samples: list[tuple[int, int, int]], seed: int) -> None:
    strata, groups, given_parts = (np.array(column) for column in zip(*samples, strict=True))
    groups = same(groups.astype(np.uint64))
    given_ = given_parts.astype(np.int8)
    drawn = draw_parts(strata, groups, given=given_, classes=4, generator=torch.Generator().manual_seed(seed))
    assert (drawn[given_ > 0] == given_[given_ > 0]).all()
    open_ = np.flatnonzero(given_ <= 0)
    if not len(open_):
        return
    # A group is nowhere apart, and the first group drawn of each stratum is learnt from.
    for group in set(groups[open_].tolist()):
        assert len(set(drawn[open_][groups[open_] == group].tolist())) == 1
    order = open_[torch.randperm(len(open_), generator=torch.Generator().manual_seed(seed)).numpy()]
    heads: dict[int, int] = {}
    stratum: dict[int, int] = {}
    for i in order.tolist():
        stratum.setdefault(int(groups[i]), int(strata[i]))
    for group, of in stratum.items():
        heads.setdefault(of, group)
    for group in heads.values():
        assert (drawn[open_][groups[open_] == group] == 0).all()
    wanted = max(1, part_size(len(open_), classes=4))
    largest = int(np.bincount(groups).max())
    assert all((drawn[open_] == part).sum() <= max(wanted, largest) for part in (1, 2))
    assert UNDECIDED not in drawn


def test_row_names() -> None:
    names = RowNames(3)
    assert list(names) == ["row 1", "row 2", "row 3"]
    assert (names[1:], len(names)) == (["row 2", "row 3"], 3)
    with pytest.raises(IndexError, match="out of range"):
        names[3]


def sizes(data: Dataset) -> NDArray[np.int64]:
    return np.array([len(data.parts[part]) for part in ("train", "validation", "test")])


def test_parts_given_as_tables(tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    for name, count in (("one", 80), ("two", 30)):
        rows = "".join(f"{i * 7 % count},{'pq'[i % 2]},{i % 3}\n" for i in range(count))
        (tmp_path / f"{name}.csv").write_text("a,y,b\n" + rows)
    data = prepare(tmp_path / "one.csv", target="y", cache=tmp_path / "cache", test=tmp_path / "two.csv")
    assert sizes(data)[2] == 30
    assert re.fullmatch("test row 30", data.names[-1])


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_binary_tables_in_blocks(frame: pl.DataFrame, tmp_path: Path, tiny: pytest.MonkeyPatch, suffix: str) -> None:
    frame = frame.with_columns(y=pl.col("flag").cast(pl.String).cast(pl.Categorical), many=pl.concat_list("zero"))
    path = tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_ipc(path)
    there, _ = tables.store_table(path, scratch=tmp_path)
    assert len(there.parts) > 20
    assert pl.concat(there.frames(frame.columns)).equals(frame)
    small = files_of(prepare(path, target="y", cache=tmp_path / "small"))
    tiny.undo()
    assert small == files_of(prepare(path, target="y", cache=tmp_path / "usual"))


def test_path_that_is_a_pattern(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "[a].parquet")
    frame.head(3).write_parquet(tmp_path / "a.parquet")
    assert tables.store_table(tmp_path / "[a].parquet", scratch=tmp_path)[0].height == 200
    assert read_table(tmp_path / "[a].parquet")[0].height == 200
