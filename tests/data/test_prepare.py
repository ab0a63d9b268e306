"""A prepared folder: made once, whole or not at all, and the same from the same data."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from trainwell.core.errors import DataError, SettingError, StoreError
from trainwell.core.jsonio import from_json, to_json
from trainwell.data.builtin import BUILTIN
from trainwell.data.dataset import Dataset
from trainwell.data.encoders import ImageEncoder, TableEncoder
from trainwell.data.prepare import fingerprint, open_prepared, prepare
from trainwell.data.storage import building

Maker = Callable[..., Path]


def noise(seed: int, *, height: int = 12, width: int = 12) -> NDArray[np.uint8]:
    """The picture that `picture_folder` makes of a seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_names(name: str, tmp_path: Path) -> None:
    data = prepare(name, cache=tmp_path)
    expected = BUILTIN[name]()
    assert data.record.samples == len(expected.target) == sum(data.record.sizes.values())
    assert data.record.task == ("regression" if name == "diabetes" else "classification")
    assert data.inputs.shape == (data.record.samples, *data.record.input.shape)
    if name == "digits":
        assert data.record.input.shape == (8, 8, 1)
        assert (data.inputs[..., 0].numpy() == np.floor(expected.images * 255 / 16 + 0.5)).all()
    else:
        assert np.allclose(data.inputs.numpy(), expected.data)
    if data.record.task == "classification":
        assert sum(sum(counts) for counts in data.record.class_counts.values()) == data.record.samples
        assert [expected.target_names[i] for i in data.targets] == [
            expected.target_names[i] for i in expected.target
        ] or sorted(data.record.output.names) == sorted(map(str, expected.target_names))
    else:
        train = data.targets[data.parts["train"]]
        assert data.record.output.means[0] == pytest.approx(float(train.mean()), rel=1e-5)
        assert data.record.output.stds[0] == pytest.approx(float(train.std(correction=0)), rel=1e-5)


def test_parts_cover_all_and_are_disjoint(tmp_path: Path) -> None:
    data = prepare("iris", cache=tmp_path)
    assert sorted(int(i) for part in data.parts.values() for i in part) == list(range(150))


def test_second_call_finds_the_folder(tmp_path: Path) -> None:
    first = prepare("wine", cache=tmp_path)
    stamp = (first.folder / "data.json").stat().st_mtime_ns
    again = prepare("wine", cache=tmp_path)
    assert again.folder == first.folder
    assert (again.folder / "data.json").stat().st_mtime_ns == stamp
    assert same(open_prepared(first.folder).inputs, first.inputs)


def test_seed_and_target_make_another_folder(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": np.arange(40) % 7, "b": np.arange(40) % 5 / 3, "y": np.arange(40) % 2})
    folders = {
        prepare(frame, target=target, seed=seed, cache=tmp_path).folder for target in ("y", "a") for seed in (0, 1)
    }
    assert len(folders) == 4


def test_two_caches_hold_the_same_bytes(picture_folder: Maker, tmp_path: Path) -> None:
    root = picture_folder()
    a, b = (prepare(root, cache=tmp_path / name).folder for name in "ab")
    for name in ("inputs.npy", "targets.npy", "encoder.json", "data.json", "names.txt"):
        assert (a / name).read_bytes() == (b / name).read_bytes()


def test_a_damaged_folder_is_made_again(tmp_path: Path) -> None:
    data = prepare("wine", cache=tmp_path)
    (data.folder / "inputs.npy").write_bytes(b"junk")
    with pytest.raises(DataError, match="must be a folder of prepared data, but cannot be opened"):
        open_prepared(data.folder)
    assert prepare("wine", cache=tmp_path).record == data.record


def test_open_prepared_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a folder of prepared data"):
        open_prepared(tmp_path)


def test_writing_to_inputs_leaves_the_file(tmp_path: Path) -> None:
    data = prepare("wine", cache=tmp_path)
    before = (data.folder / "inputs.npy").read_bytes()
    data.inputs[0] = -1.0
    assert (data.folder / "inputs.npy").read_bytes() == before


def test_fingerprint_is_of_content(picture_folder: Maker, tmp_path: Path) -> None:
    root = picture_folder()
    first = fingerprint(root)
    assert first == prepare(root, cache=tmp_path / "cache").record.fingerprint
    os.utime(root / "cat" / "00.png", (0, 0))
    root = root.rename(tmp_path / "elsewhere")
    assert fingerprint(root) == first
    Image.fromarray(noise(99)).save(root / "cat" / "00.png")
    assert fingerprint(root) != first


def test_fingerprint_sees_names_and_labels(picture_folder: Maker) -> None:
    root = picture_folder()
    first = fingerprint(root)
    (root / "cat" / "00.png").rename(root / "dog" / "x.png")
    assert fingerprint(root) != first


def test_max_side_must_be_sensible(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="`max_side >= 4` must hold, but got 3"):
        prepare("digits", cache=tmp_path, max_side=3)


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"Prepared data must be written to .*, but: Not a directory"):
        prepare("wine", cache=tmp_path / "file" / "cache")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainwell.data.storage.ArrayWriter.append", full)
    with pytest.raises(StoreError, match=r"No space left on device\. Free some space"):
        prepare("wine", cache=tmp_path)
    assert not list(tmp_path.iterdir())


# Its processes are forked off one that has done nothing but import: the libraries are loaded once, not once a process.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["trainwell.data.prepare"])

SCRIPT = """
import time
from trainwell.data import assemble, image_store, prepare, storage
commit = storage._commit
def stop(*args, **kwargs):
    said.send_bytes(b"here")
    time.sleep(60)
def commit_together(*args):
    barrier.wait(60)
    commit(*args)
if stage == "decoding":
    image_store.ArrayWriter.append = stop
elif stage == "splitting":
    assemble.draw_parts = stop
elif stage == "written":
    storage._sync = stop
elif stage == "renaming":
    storage._commit = stop
elif stage == "two at once":
    storage._commit = commit_together
prepare.prepare(root, cache=cache)
"""


@pytest.mark.parametrize("stage", ["decoding", "splitting", "written", "renaming"])
def test_kill(picture_folder: Maker, tmp_path: Path, stage: str) -> None:
    root, cache = picture_folder(), tmp_path / "cache"
    hear, said = PROCESSES.Pipe(duplex=False)
    with hear:
        with said:
            process = PROCESSES.Process(
                target=exec, args=(SCRIPT, {"cache": cache, "root": root, "stage": stage, "said": said})
            )
            process.start()
        assert hear.recv_bytes() == b"here"
        process.kill()
        process.join()
    left = list(cache.iterdir())
    assert len(left) == 1
    assert left[0].name.startswith(".building-")
    data = prepare(root, cache=cache)
    assert list(cache.iterdir()) == [data.folder]
    assert data.record == prepare(root, cache=tmp_path / "undisturbed").record


def test_two_at_once(picture_folder: Maker, tmp_path: Path) -> None:
    root, cache = picture_folder(), tmp_path / "cache"
    given = {"cache": cache, "root": root, "stage": "two at once", "barrier": PROCESSES.Barrier(2)}
    processes = [PROCESSES.Process(target=exec, args=(SCRIPT, given)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert [path.name for path in cache.iterdir()] == [prepare(root, cache=cache).folder.name]


def test_a_live_building_is_left_alone(tmp_path: Path) -> None:
    with building(tmp_path, "key") as first, building(tmp_path, "key") as second:
        assert first.is_dir()
        assert second.is_dir()
        for folder in (first, second):
            (folder / "data.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_an_error_while_building_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with building(tmp_path, "key") as folder:
            (folder / "x").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


# What predict sees is what training saw


def pictures_of(data: Dataset) -> ImageEncoder:
    assert isinstance(data.encoder, ImageEncoder)
    return data.encoder


def rows_of(data: Dataset) -> TableEncoder:
    assert isinstance(data.encoder, TableEncoder)
    return data.encoder


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".gif", ".webp", ".bmp"])
def test_pictures_at_prediction(picture_folder: Maker, tmp_path: Path, suffix: str) -> None:
    root = picture_folder(suffix=suffix)
    Image.fromarray(noise(5, height=40, width=20)).save(root / "cat" / f"00{suffix}")
    data = prepare(root, cache=tmp_path / "cache")
    encoder = from_json(ImageEncoder, to_json(data.encoder))
    paths = [root / data.source_of(i) for i in range(data.record.samples)]
    encoded = encoder.encode_files(paths)
    assert same(encoded.inputs, data.inputs)
    assert encoded.names == tuple(str(path) for path in paths)
    assert same(encoder.encode_files([root]).inputs, data.inputs)


def test_what_cannot_be_read_at_prediction(picture_folder: Maker, tmp_path: Path) -> None:
    root = picture_folder()
    data = prepare(root, cache=tmp_path / "cache")
    (tmp_path / "x.png").write_text("hello")
    encoded = pictures_of(data).encode_files([tmp_path / "x.png", root / "cat" / "00.png", tmp_path / "gone.png"])
    assert encoded.names == (str(root / "cat" / "00.png"),)
    assert [item.why for item in encoded.left_out] == [
        "it is no picture",
        "it cannot be read: No such file or directory",
    ]
    assert pictures_of(data).encode_files([]).inputs.shape == (0, 12, 12, 3)


def test_idx_at_prediction(idx_folder: Maker, tmp_path: Path) -> None:
    root = idx_folder()
    data = prepare(root, cache=tmp_path / "cache")
    encoded = pictures_of(data).encode_files([root / "t10k-images-idx3-ubyte"])
    assert same(encoded.inputs, data.inputs[data.parts["test"]])
    assert encoded.names[3].endswith("t10k-images-idx3-ubyte[3]")


def test_pictures_of_another_shape_at_prediction(tmp_path: Path) -> None:
    data = prepare("digits", cache=tmp_path)
    with pytest.raises(DataError, match=r"Pictures must be 8 x 8 with 1 channel\(s\), as in training"):
        data.encoder.encode_arrays(np.zeros((2, 9, 9)))


cell = st.one_of(
    st.none(), st.text(alphabet="ab1.,-é", max_size=4), st.integers(-5, 300).map(str), st.sampled_from(["nan", "inf"])
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cell, cell, st.booleans()), min_size=12, max_size=40), st.integers(0, 3))
def test_any_table_at_prediction(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, str | None, bool]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    frame = pl.DataFrame(
        {"a": [r[0] for r in rows], "b": [r[1] for r in rows], "y": ["no" if r[2] else "yes" for r in rows]},
        schema={"a": pl.String, "b": pl.String, "y": pl.String},
    )
    frame.write_csv(folder / "t.csv")
    try:
        data = prepare(folder / "t.csv", target="y", seed=seed, cache=folder / "cache")
    except DataError:
        # One class, or nothing to learn from: what is said then is tested elsewhere.
        return
    encoder = from_json(TableEncoder, to_json(data.encoder))
    assert same(encoder.encode_table(folder / "t.csv").inputs, data.inputs)
    assert data.inputs.shape[1] == data.record.input.numbers + len(data.record.input.cardinalities)
    codes = data.inputs[:, data.record.input.numbers :]
    assert bool((codes >= 0).all())
    assert bool((codes < torch.tensor(data.record.input.cardinalities or [1])).all())
    assert not bool(data.inputs.isinf().any())


def test_table_without_a_column_at_prediction(tmp_path: Path) -> None:
    frame = pl.DataFrame({"width": np.arange(30) % 7, "y": ["p", "q"] * 15})
    data = prepare(frame, target="y", cache=tmp_path)
    with pytest.raises(
        DataError, match=r'must have the columns trained on, but lacks "width"\. Did you mean "widht"\?'
    ):
        rows_of(data).encode_table(pl.DataFrame({"widht": [1]}))


def test_unseen_and_missing_categories_are_code_0(tmp_path: Path) -> None:
    frame = pl.DataFrame({"c": ["u", "v"] * 20, "d": np.arange(40) % 9, "y": np.arange(40) // 2 % 2})
    data = prepare(frame, target="y", cache=tmp_path)
    new = pl.DataFrame({"c": ["v", "w", None, "u"], "d": [1, 2, 3, None]})
    encoded = rows_of(data).encode_table(new).inputs
    assert encoded[:, 1].tolist() == [2, 0, 0, 1]
    assert encoded[3, 0].isnan()


def test_categories_are_learnt_from_training_alone(tmp_path: Path) -> None:
    train = pl.DataFrame({"c": ["u", "v"] * 30, "y": np.arange(60) // 2 % 2})
    test = pl.DataFrame({"c": ["w"] * 10, "y": [0, 1] * 5})
    data = prepare(train, target="y", test=test, cache=tmp_path)
    assert data.record.input.cardinalities == (3,)
    assert (data.inputs[data.parts["test"]] == 0).all()


def test_records_are_plain_json(picture_folder: Maker, tmp_path: Path) -> None:
    data = prepare(picture_folder(), cache=tmp_path / "cache")
    held = json.loads((data.folder / "data.json").read_text("utf-8"))
    assert held["samples"] == 24


def test_the_same_pictures_at_another_size_fall_into_the_same_parts(picture_folder: Maker, tmp_path: Path) -> None:
    folder = picture_folder()
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        Image.fromarray(noise(number, height=150 + number, width=110)).save(path)
    small = prepare(folder, cache=tmp_path, max_side=32)
    # Its look-alikes are searched for in pictures of 32 pixels alone.
    large = prepare(folder, cache=tmp_path, max_side=120, like=small)
    assert large.folder != small.folder
    assert list(large.names) == list(small.names)
    assert all(same(large.parts[part], small.parts[part]) for part in small.parts)
    assert same(large.targets, small.targets)
    # Sizes differ: a square.
    assert (large.record.input.height, large.record.input.width) == (120, 120)
    assert large.record.fingerprint == small.record.fingerprint
    assert prepare(folder, cache=tmp_path, max_side=120, like=small).folder == large.folder


def test_pictures_that_changed_meanwhile_are_not_taken_for_the_same(picture_folder: Maker, tmp_path: Path) -> None:
    folder = picture_folder()
    small = prepare(folder, cache=tmp_path)
    next(iter(sorted(folder.rglob("*.png")))).unlink()
    with pytest.raises(DataError, match="Leave the data as it is while a run goes on"):
        prepare(folder, cache=tmp_path, max_side=64, like=small)
