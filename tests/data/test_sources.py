"""Whatever a user may name: what is read from it, and what is said where it cannot be."""

import gzip
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from trainwell.core.errors import DataError, TargetError
from trainwell.data.dataset import Dataset
from trainwell.data.prepare import prepare

Maker = Callable[..., Path]


def noise(seed: int, *, height: int = 12, width: int = 12) -> NDArray[np.uint8]:
    """The picture that `picture_folder` makes of a seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def table(rows: int = 60) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows), "y": ["no", "yes"] * (rows // 2)})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def refused(source: Any, cache: Path, **options: Any) -> str:
    """The sentence that a source is refused with; nothing may be left behind."""
    with pytest.raises(DataError) as caught:
        prepare(source, cache=cache, **options)
    assert not cache.exists() or not list(cache.iterdir())
    text = str(caught.value)
    assert "\n" not in text
    text.encode()
    return text


# Folders


def test_folder_of_classes(picture_folder: Maker, cache: Path) -> None:
    data = prepare(picture_folder(classes=("dog", "cat")), cache=cache)
    assert data.record.output.names == ("cat", "dog")
    assert data.record.input.shape == (12, 12, 3)
    assert data.record.samples == 24
    for i in range(24):
        label, file = data.source_of(i).split("/")
        assert data.record.output.names[int(data.targets[i])] == label
        seed = (1000 if label == "cat" else 0) + int(file[:2])
        assert (data.inputs[i].numpy() == noise(seed)).all()


def test_numbered_classes_stand_in_order(picture_folder: Maker, cache: Path) -> None:
    data = prepare(picture_folder(classes=("10", "9", "1"), each=4), cache=cache)
    assert data.record.output.names == ("1", "9", "10")


@pytest.mark.parametrize("label", ["NA", "nan", "null", "?", "True", " x"])
def test_any_name_may_be_a_class(picture_folder: Maker, cache: Path, label: str) -> None:
    data = prepare(picture_folder(classes=(label, "other")), cache=cache)
    assert set(data.record.output.names) == {label, "other"}


def test_part_folders(picture_folder: Maker, tmp_path: Path, cache: Path) -> None:
    for part, name in enumerate(("train", "val", "test")):
        folder = picture_folder(f"all/{name}", each=10)
        for i, path in enumerate(sorted(folder.rglob("*.png"))):
            Image.fromarray(noise(5000 + 100 * part + i)).save(path)
    data = prepare(tmp_path / "all", cache=cache)
    assert data.record.sizes == {"train": 20, "validation": 20, "test": 20}
    for part_name, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        assert all(data.source_of(int(i)).startswith(f"{name}/") for i in data.parts[part_name])


def test_validation_is_drawn_from_training_where_it_lacks(picture_folder: Maker, tmp_path: Path, cache: Path) -> None:
    picture_folder("all/train", each=20)
    picture_folder("all/test", each=5)
    data = prepare(tmp_path / "all", cache=cache)
    assert data.record.sizes == {"train": 34, "validation": 6, "test": 10}
    assert "10 samples of the validation or test part given repeat a sample of another part." in data.record.warnings


def test_train_may_be_a_class(picture_folder: Maker, cache: Path) -> None:
    assert prepare(picture_folder(classes=("plane", "train")), cache=cache).record.output.names == ("plane", "train")


def test_a_class_only_in_test(picture_folder: Maker, tmp_path: Path, cache: Path) -> None:
    picture_folder("all/train")
    picture_folder("all/test", classes=("cat", "emu"))
    assert 'Every class must be in the training part, but "emu" is in another only' in refused(tmp_path / "all", cache)


def test_parts_by_option(picture_folder: Maker, cache: Path) -> None:
    data = prepare(picture_folder("one", each=20), test=picture_folder("two", each=5), cache=cache)
    assert data.record.sizes["test"] == 10
    assert data.source_of(int(data.parts["test"][0])).startswith("test ")


def test_mixed_files_among_pictures(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder(each=20)
    (root / "cat" / "notes.txt").write_text("hello")
    (root / "cat" / ".hidden").write_text("hello")
    (root / "cat" / "Thumbs.db").write_bytes(b"x")
    data = (root / "cat" / "00.png").read_bytes()
    (root / "cat" / "00.png").write_bytes(data[: len(data) // 2])
    made = prepare(root, cache=cache)
    assert made.record.samples == 39
    assert made.record.left_out_count == 2
    assert {item.name: item.why.split(":")[0] for item in made.record.left_out} == {
        "cat/00.png": "it is damaged",
        "cat/notes.txt": "it is no picture",
    }


def test_too_many_corrupt_pictures(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder(each=10)
    for i in range(3):
        (root / "dog" / f"{i:02}.png").write_bytes(b"\x89PNG\r\n\x1a\n junk")
    text = refused(root, cache)
    assert "At most 10% of pictures may be unusable, but 3 of 20 are (dog/00.png: " in text


def test_empty_folder(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty is empty" in refused(tmp_path / "empty", cache)


def test_empty_class_folders(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x" / "a").mkdir(parents=True)
    (tmp_path / "x" / "b").mkdir()
    assert "are empty" in refused(tmp_path / "x", cache)


def test_one_empty_class_folder_is_said(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder()
    (root / "emu").mkdir()
    assert prepare(root, cache=cache).record.warnings == ('The class folder "emu" is empty.',)


def test_one_class(picture_folder: Maker, cache: Path) -> None:
    assert 'at least two classes, but every sample is of class "cat"' in refused(
        picture_folder(classes=("cat",)), cache
    )


def test_class_with_one_picture(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder()
    (root / "emu").mkdir()
    Image.fromarray(noise(9)).save(root / "emu" / "1.png")
    assert (
        'Each class needs at least two samples, one to learn from and one to be judged by, but "emu" has one'
        in refused(root, cache)
    )


def test_class_left_with_one_picture(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder(each=20)
    (root / "emu").mkdir()
    Image.fromarray(noise(9)).save(root / "emu" / "1.png")
    (root / "emu" / "2.png").write_bytes(b"junk")
    assert '"emu" has one' in refused(root, cache)


def test_two_pictures_a_class(picture_folder: Maker, cache: Path) -> None:
    assert prepare(picture_folder(each=2), cache=cache).record.sizes == {"train": 2, "validation": 1, "test": 1}


def test_files_that_are_no_pictures(tmp_path: Path, cache: Path) -> None:
    for label in "ab":
        (tmp_path / "x" / label).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "x" / label / f"{i}.txt").write_text("hello")
    assert "none of its 6 files can be read as one (a/0.txt: it is no picture)" in refused(tmp_path / "x", cache)


def test_pictures_without_class_folders(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x").mkdir()
    Image.fromarray(noise(0)).save(tmp_path / "x" / "1.png")
    assert "Pictures must lie in a folder for each class" in refused(tmp_path / "x", cache)


def test_bomb_is_refused(picture_folder: Maker, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = picture_folder()
    Image.new("L", (60, 60)).save(root / "cat" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    assert "bomb.png has more: it may be a decompression bomb" in refused(root, cache)


def test_links_in_a_circle(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder()
    (root / "cat" / "up").symlink_to(root / "cat")
    (root / "dog" / "self.png").symlink_to(root / "dog" / "self.png")
    (root / "dog" / "nothing.png").symlink_to(root / "dog" / "gone.png")
    data = prepare(root, cache=cache)
    assert data.record.samples == 24
    whys = {Path(item.name).name: item.why for item in data.record.left_out}
    assert whys["up"] == "a link that leads in a circle"
    assert whys["self.png"].startswith("it cannot be read: Too many levels of symbolic links")
    assert whys["nothing.png"].startswith("it cannot be read: No such file")


def test_source_that_is_a_link_in_a_circle(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "is a link that leads in a circle" in refused(tmp_path / "loop", cache)


def test_names_that_are_no_utf8(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "bytes"
    for c, label in enumerate((b"caf\xe9", b"two\nlines")):
        folder = root / os.fsdecode(label)
        folder.mkdir(parents=True)
        for i in range(4):
            with (folder / os.fsdecode(b"\xff%d.png" % i)).open("wb") as file:
                Image.fromarray(noise(10 * c + i)).save(file, "PNG")
    data = prepare(tmp_path / "bytes", cache=cache)
    assert data.record.output.names == ("caf\\xe9", "two\\nlines")
    assert data.source_of(0) == "caf\\xe9/\\xff0.png"
    assert (data.inputs[0].numpy() == noise(0)).all()
    assert len(data.names) == 8


def test_unreadable_picture_is_left_out(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder(each=20)
    (root / "cat" / "00.png").unlink()
    os.mkfifo(root / "cat" / "00.png")
    data = prepare(root, cache=cache)
    assert [item.name for item in data.record.left_out] == ["cat/00.png"]


def test_missing_path_suggests(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder("flowers")
    assert 'Did you mean "flowers"?' in refused(root.with_name("flowrs"), cache)
    assert 'Did you mean "digits"?' in refused("digit", cache)
    assert "Built in are: breast_cancer, diabetes, digits, iris, wine." in refused("qqqq", cache)


def test_strange_paths(cache: Path) -> None:
    assert "there is no" in refused("a\0b", cache)
    assert "there is no" in refused("x" * 5000, cache)
    assert "is a pipe or a device" in refused("/dev/null", cache)


def test_mixed_sizes_and_max_side(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder(each=6)
    Image.fromarray(noise(5, height=30, width=60)).save(root / "cat" / "00.png")
    assert prepare(root, cache=cache).record.input.shape == (12, 12, 3)
    assert prepare(root, cache=cache, max_side=8).record.input.shape == (8, 8, 3)


def test_gray_pictures_stored_as_colour_are_gray(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder()
    for path in root.rglob("*.png"):
        with Image.open(path) as picture:
            gray = picture.convert("L").convert("RGB")
        gray.save(path)
    data = prepare(root, cache=cache)
    assert data.record.input.channels == 1
    with Image.open(root / "cat" / "00.png") as picture:
        assert (data.inputs[0, ..., 0].numpy() == np.asarray(picture)[..., 0]).all()


def test_duplicates_stand_on_one_side(picture_folder: Maker, cache: Path) -> None:
    root = picture_folder(each=40)
    for i in range(20):
        (root / "cat" / f"copy{i:02}.png").write_bytes((root / "cat" / f"{i:02}.png").read_bytes())
    data = prepare(root, cache=cache)
    assert data.record.duplicates == 20
    sides = {int(i): part for part, index in data.parts.items() for i in index}
    where = {data.source_of(i): i for i in range(data.record.samples)}
    for i in range(20):
        assert sides[where[f"cat/{i:02}.png"]] == sides[where[f"cat/copy{i:02}.png"]]


# IDX


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_folder(idx_folder: Maker, cache: Path, zipped: bool) -> None:
    data = prepare(idx_folder(zipped=zipped), cache=cache)
    assert data.record.input.shape == (6, 5, 1)
    assert data.record.sizes == {"train": 51, "validation": 9, "test": 60}
    expected = np.random.default_rng(1).integers(0, 256, (60, 6, 5), dtype=np.uint8)
    assert (data.inputs[data.parts["test"]][..., 0].numpy() == expected).all()
    assert data.source_of(60) == f"t10k-images-idx3-ubyte{'.gz' if zipped else ''}[0]"


def test_idx_zipped_or_not_is_one_data(idx_folder: Maker, cache: Path) -> None:
    a, b = (prepare(idx_folder(str(z), zipped=z), cache=cache) for z in (False, True))
    assert (a.inputs == b.inputs).all()
    assert all((a.parts[part] == b.parts[part]).all() for part in a.parts)


def test_idx_file_with_labels_beside_it(idx_folder: Maker, cache: Path) -> None:
    root = idx_folder(prefixes=("emnist-train", "emnist-test"))
    data = prepare(root / "emnist-train-images-idx3-ubyte", cache=cache)
    assert sum(data.record.sizes.values()) == 60


def test_idx_of_different_length(idx_folder: Maker, cache: Path) -> None:
    text = refused(idx_folder(labels=50), cache)
    assert "Images and labels must be of one length, but train-images-idx3-ubyte holds 60" in text
    assert "50." in text


def test_idx_without_labels(idx_folder: Maker, cache: Path) -> None:
    root = idx_folder()
    (root / "train-labels-idx1-ubyte").unlink()
    assert "needs its labels beside it, but there is no train-labels-idx1-ubyte (or .gz)" in refused(root, cache)


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_cut_off(idx_folder: Maker, cache: Path, zipped: bool) -> None:
    root = idx_folder(zipped=zipped)
    path = root / f"train-images-idx3-ubyte{'.gz' if zipped else ''}"
    path.write_bytes(path.read_bytes()[:-500])
    assert ("is damaged or cut off" if zipped else "but ends after 43") in refused(root, cache)


def test_idx_that_claims_the_world(idx_folder: Maker, cache: Path) -> None:
    root = idx_folder(prefixes=("train",))
    head = bytes([0, 0, 8, 3]) + np.array([60, 2**31, 2**31], ">u4").tobytes()
    (root / "train-images-idx3-ubyte").write_bytes(head + b"x" * 100)
    assert "ends after 0" in refused(root, cache)


def test_idx_of_something_else(idx_folder: Maker, cache: Path) -> None:
    root = idx_folder()
    (root / "train-images-idx3-ubyte").write_bytes(b"hello world")
    assert "must be an IDX file, but begins with other bytes" in refused(root, cache)


def test_several_idx_sets(idx_folder: Maker, cache: Path) -> None:
    assert "holds several" in refused(idx_folder(prefixes=("a-train", "b-train")), cache)


# .npz


def test_npz(tmp_path: Path, cache: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez_compressed(tmp_path / "d.npz", images=x, labels=np.arange(40) % 2)
    data = prepare(tmp_path / "d.npz", cache=cache)
    assert data.record.input.shape == (8, 8, 1)
    assert (data.inputs[..., 0].numpy() == x).all()


@pytest.mark.parametrize("keys", [("x_{}", "y_{}"), ("{}_images", "{}_labels"), ("{}X", "{}Y"), ("X{}", "y{}")])
def test_npz_with_parts(tmp_path: Path, cache: Path, keys: tuple[str, str]) -> None:
    rng = np.random.default_rng(0)
    held: dict[str, Any] = {}
    for part in ("train", "val", "test"):
        held[keys[0].format(part)] = rng.normal(size=(20, 3))
        held[keys[1].format(part)] = np.arange(20) % 2
    np.savez(tmp_path / "d.npz", **held)
    data = prepare(tmp_path / "d.npz", cache=cache)
    assert data.record.sizes == {"train": 20, "validation": 20, "test": 20}


def test_npz_regression(tmp_path: Path, cache: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(50, 4)), y=rng.normal(size=(50, 2)))
    data = prepare(tmp_path / "d.npz", cache=cache)
    assert data.record.task == "regression"
    assert data.targets.shape == (50, 2)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("/tmp/trainwell-was-run",))


def test_pickled_npz(tmp_path: Path, cache: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.array([Evil()] * 4, dtype=object), y=np.arange(4))
    assert "holds pickled Python objects, which can carry code and are never loaded" in refused(
        tmp_path / "d.npz", cache
    )
    assert not Path("/tmp/trainwell-was-run").exists()


@pytest.mark.parametrize("name", ["d.pt", "d.pkl", "d.csv"])
def test_pickle_by_any_name(tmp_path: Path, cache: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Evil(), protocol=4))
    assert "is a pickle, which can run code" in refused(tmp_path / name, cache)


def test_torch_file(tmp_path: Path, cache: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "d.pt")
    assert "is a pickle, which can run code" in refused(tmp_path / "d.pt", cache)


def test_npz_of_different_length(tmp_path: Path, cache: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((10, 2)), y=np.zeros(9))
    assert "there are 10 inputs and 9 targets" in refused(tmp_path / "d.npz", cache)


def test_npz_without_known_names(tmp_path: Path, cache: Path) -> None:
    np.savez(tmp_path / "d.npz", foo=np.zeros(3), bar=np.zeros(3))
    assert "x_train and y_train, but holds foo, bar" in refused(tmp_path / "d.npz", cache)


def test_npz_bomb(tmp_path: Path, cache: Path) -> None:
    head = (
        np.lib.format.magic(1, 0)
        + b"v\0"
        + str({"descr": "|u1", "fortran_order": False, "shape": (1 << 29,)}).ljust(117).encode()
        + b"\n"
    )
    with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w") as member:
            member.write(head)
            for _ in range(1 << 9):
                member.write(b"\0" * (1 << 20))
        archive.writestr("y.npy", head)
    assert "it may be a decompression bomb" in refused(tmp_path / "d.npz", cache)


@pytest.mark.parametrize("cut", [3, 100, 400])
def test_damaged_npz(tmp_path: Path, cache: Path, cut: int) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((10, 2)), y=np.zeros(10))
    data = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(data[:-cut])
    assert "must be an .npz archive, but cannot be read" in refused(tmp_path / "d.npz", cache)


def test_npy_alone(tmp_path: Path, cache: Path) -> None:
    np.save(tmp_path / "d.npy", np.zeros(3))
    assert "Save both as one .npz, named x and y" in refused(tmp_path / "d.npy", cache)


# Tables


def written(frame: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix in (".arrow", ".feather"):
        frame.write_ipc(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".arrow", ".feather"])
def test_table_files(tmp_path: Path, cache: Path, suffix: str) -> None:
    frame = table()
    data = prepare(written(frame, tmp_path / f"t{suffix}"), target="y", cache=cache)
    assert data.record.task == "classification"
    assert data.record.output.names == ("no", "yes")
    assert np.allclose(data.inputs.numpy(), frame.select("a", "b").to_numpy().astype(np.float32))
    assert data.source_of(3) == "row 4"


def test_no_target(tmp_path: Path, cache: Path) -> None:
    assert "none is named. Its columns: a, b, y." in refused(written(table(), tmp_path / "t.csv"), cache)


def test_unknown_target(tmp_path: Path, cache: Path) -> None:
    frame = table().rename({"y": "income"})
    text = refused(written(frame, tmp_path / "t.csv"), cache, target="incme")
    assert 'there is no "incme". Did you mean "income"?' in text


def test_target_where_there_is_none(picture_folder: Maker, cache: Path) -> None:
    assert "Leave --target out" in refused(picture_folder(), cache, target="y")
    assert "Leave --target out" in refused("wine", cache, target="colour")


def test_target_with_gaps(tmp_path: Path, cache: Path) -> None:
    frame = table(100).with_columns(y=pl.when(pl.int_range(100) < 4).then(None).otherwise("y"))
    data = prepare(written(frame, tmp_path / "t.csv"), target="y", cache=cache)
    assert data.record.samples == 96
    assert data.record.left_out_count == 4
    assert data.record.left_out[0].name == "row 1"
    assert '4 samples without a value of "y" left out.' in data.record.warnings
    assert data.source_of(0) == "row 5"


def test_target_with_many_gaps(tmp_path: Path, cache: Path) -> None:
    frame = table(100).with_columns(y=pl.when(pl.int_range(100) < 30).then(None).otherwise("y"))
    text = refused(written(frame, tmp_path / "t.csv"), cache, target="y")
    assert 'At most 10% of rows may lack their target, but 30 of 100 lack "y"' in text


def test_infinity_counts_as_missing(tmp_path: Path, cache: Path) -> None:
    frame = table().with_columns(a=pl.when(pl.int_range(60) == 7).then(float("inf")).otherwise("a"))
    for suffix in (".csv", ".parquet"):
        data = prepare(written(frame, tmp_path / f"t{suffix}"), target="y", cache=cache)
        assert data.inputs[7, 0].isnan()
        assert "Infinite values count as missing, in a." in data.record.warnings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "but is empty"),
        (b"\n\n", "but is empty"),
        (b"a,b,y\n", "must have rows, but has only column names"),
        (b"a,b,y", "must have rows, but has only column names"),
        (b"a,b,y\n1,2,x\n", "needs at least 4 samples"),
        (b"a,a,y\n1,2,x\n", 'has "a" 2 times'),
        (b"\x00\x01\x02binary" * 50, "holds binary data"),
        (bytes(range(128, 256)) * 20, "holds binary data"),
        (b"a,b,y\n" + b"1,2,x\n" * 8 + b"1,2,3,4,5\n", "line 10 has 5 cells where the header has 3"),
        (b'a,b,y\n1,2,x\n1,"2,x\n1,2,x\n1,2,z\n1,2,z\n1,2,z\n', "a quote is not closed"),
        (b"1.5,2.5,0\n" * 9, "its first line is numbers"),
        (b"y\n" + b"1\n2\n" * 9, "A table needs columns besides its targets"),
        (b"a,y\n" + b"1,x\n1,z\n" * 9, "all are empty, constant or identifiers"),
        (b"a,y\n" + b"".join(b"%d,z\n" % i for i in range(9)), 'every sample is of class "z"'),
        (b"a,y\n" + b"".join(b"%d,n%d\n" % (i % 3, i) for i in range(30)), "looks like an identifier"),
        (
            b"a,y\n" + b"".join(b"%d,%s\n" % (i % 3, b"q" if i == 4 else b"pr"[i % 2 : i % 2 + 1]) for i in range(9)),
            '"q" has one',
        ),
        (b"a,y\n" + b"".join(b"%d,1.5\n" % i for i in range(9)), 'but every sample is of class "1.5"|must vary'),
    ],
)
def test_bad_csv(tmp_path: Path, cache: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert re.search(message, refused(tmp_path / "t.csv", cache, target="y"))


def test_folder_named_as_a_table(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    assert "A table must be a file, but" in refused(tmp_path / "x.csv", cache, target="y")


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_damaged_binary_table(tmp_path: Path, cache: Path, suffix: str) -> None:
    path = written(table(), tmp_path / f"t{suffix}")
    path.write_bytes(path.read_bytes()[:200])
    assert "must be a Parquet or Arrow file, but is damaged" in refused(path, cache, target="y")


def test_huge_field(tmp_path: Path, cache: Path) -> None:
    rows = [f"{i * 0.5},{'z' * (5_000_000 if i == 3 else 5)},{'xy'[i % 2]}" for i in range(30)]
    (tmp_path / "t.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")
    data = prepare(tmp_path / "t.csv", target="y", cache=cache)
    assert data.record.samples == 30


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path: Path, cache: Path, encoding: str) -> None:
    rows = "".join(f"{i * 0.5};{['Köln', 'Genève'][i % 2]}\n" for i in range(40))
    (tmp_path / "t.csv").write_bytes(("größe;y\n" + rows).encode(encoding))
    data = prepare(tmp_path / "t.csv", target="y", cache=cache)
    assert data.record.output.names == ("Genève", "Köln")
    assert data.record.columns[0].name == "größe"
    assert bool(data.record.warnings) == (encoding == "cp1252")


def test_decimal_commas(tmp_path: Path, cache: Path) -> None:
    rows = "".join(f"{i},{i % 10};{i * 7 % 13},25\n" for i in range(50))
    (tmp_path / "t.csv").write_text("a;y\n" + rows)
    data = prepare(tmp_path / "t.csv", target="y", cache=cache)
    assert data.record.task == "regression"
    assert data.inputs[13, 0] == pytest.approx(13.3)
    assert data.targets[1, 0] == 7.25


def test_parts_as_tables(tmp_path: Path, cache: Path) -> None:
    frame = table(100)
    one, two = (
        written(frame[:70], tmp_path / "one.csv"),
        written(frame[70:].select("y", "b", "a"), tmp_path / "two.csv"),
    )
    data = prepare(one, target="y", test=two, cache=cache)
    assert data.record.sizes["test"] == 30
    assert np.allclose(data.inputs.numpy(), frame.select("a", "b").to_numpy().astype(np.float32))
    written(frame.drop("a"), tmp_path / "three.csv")
    assert 'one lacks "a"' in refused(one, tmp_path / "other", target="y", test=tmp_path / "three.csv")


def test_zipped_text_is_no_idx(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"hello"))
    assert "is none of these" in refused(tmp_path / "x.gz", cache)


# In memory


def test_arrays_tensors_and_frames_agree(cache: Path) -> None:
    frame = table()
    x, y = frame.select("a", "b").to_numpy(), frame["y"].to_numpy()
    made: list[Dataset] = [
        prepare((x, y), cache=cache),
        prepare((torch.from_numpy(x.copy()), y.tolist()), cache=cache),
        prepare((frame.select("a", "b"), frame["y"]), cache=cache),
        prepare(frame, target="y", cache=cache),
        prepare(frame.to_pandas(), target="y", cache=cache),
        prepare(frame.to_arrow(), target=("y",), cache=cache),
    ]
    for data in made[1:]:
        assert (data.inputs == made[0].inputs).all()
        assert (data.targets == made[0].targets).all()
        assert all((data.parts[part] == made[0].parts[part]).all() for part in data.parts)


def test_pandas_missing_values(cache: Path) -> None:
    import pandas as pd

    n = 40
    frame = pd.DataFrame(
        {
            "nullable": pd.array([None if i == 3 else i * i % 17 for i in range(n)], dtype="Int64"),
            "text": pd.array([None if i == 4 else "pqr"[i % 3] for i in range(n)], dtype="string"),
            "kind": pd.Categorical(["uv"[i % 2] for i in range(n)]),
            "when": [pd.NaT if i == 5 else pd.Timestamp(2020, 1 + i % 12, 1) for i in range(n)],
            "flag": [bool(i % 3) for i in range(n)],
            0: np.linspace(0, 1, n),
            "y": np.arange(n) % 2,
        }
    )
    data = prepare(frame, target="y", cache=cache)
    kinds = {column.name: (column.kind, column.missing) for column in data.record.columns}
    assert kinds == {
        "nullable": ("number", 1),
        "text": ("category", 1),
        "kind": ("category", 0),
        "when": ("date", 1),
        "flag": ("category", 0),
        "0": ("number", 0),
    }


@pytest.mark.parametrize("channels_first", [False, True])
def test_picture_tensors(cache: Path, channels_first: bool) -> None:
    pixels = torch.randint(0, 256, (30, 3, 7, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    given = pixels if channels_first else pixels.permute(0, 2, 3, 1)
    data = prepare((given, torch.arange(30) % 3), cache=cache)
    assert (data.inputs == pixels.permute(0, 2, 3, 1)).all()
    assert data.record.output.names == ("0", "1", "2")


def test_float_pictures_are_scaled(cache: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (30, 6, 6))
    data = prepare((levels / 255, np.arange(30) % 2), cache=cache)
    assert (data.inputs[..., 0].numpy() == levels).all()
    again = data.encoder.encode_arrays(levels / 255)
    assert (again == data.inputs).all()


def test_pictures_with_nan_are_left_out(cache: Path) -> None:
    pictures = np.random.default_rng(0).random((40, 6, 6))
    pictures[7, 2, 2] = np.nan
    data = prepare((pictures, np.arange(40) % 2), cache=cache)
    assert [(item.name, item.why) for item in data.record.left_out] == [
        ("row 8", "it has pixels that are NaN or infinite")
    ]


class Pairs(torch.utils.data.Dataset[Any]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Any:
        return torch.full((3, 4, 4), i / self.size), i % 2


def test_torch_dataset(cache: Path) -> None:
    data = prepare(Pairs(40), cache=cache)
    assert data.record.input.shape == (4, 4, 3)
    assert data.targets.tolist() == [0, 1] * 20
    assert "must hold samples" in refused(Pairs(0), cache / "none")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((np.zeros((5, 2)), np.zeros(4)), "there are 5 inputs and 4 targets"),
        ((np.zeros((0, 2)), np.zeros(0)), "it is empty"),
        ((3, 4), "must be arrays, tensors, lists or tables"),
        (5, "but got int"),
        ((np.zeros((9, 2, 3, 5, 1)), np.arange(9) % 2), "must be rows"),
        ((np.zeros((9, 2, 5, 5)), np.arange(9) % 2), "an axis of 1 or 3 channels"),
        (([[1], [2, 3], [1], [2]], [0, 1, 0, 1]), "Samples must all have one shape"),
        ((np.arange(9) * 1j, np.arange(9) % 2), "must be real numbers"),
        ((np.zeros((9, 2)), np.zeros((9, 2, 2))), "Targets must be"),
    ],
)
def test_bad_arrays(cache: Path, source: Any, message: str) -> None:
    assert message in refused(source, cache)


def test_targets_of_words_and_several(cache: Path) -> None:
    frame = table().with_columns(z=pl.col("a") * 2)
    assert prepare(frame, target=("a", "z"), cache=cache / "1").record.output.names == ("a", "z")
    with pytest.raises(TargetError, match='Several targets must be numbers, but "y" holds "no"'):
        prepare(frame, target=("a", "y"), cache=cache / "2")
