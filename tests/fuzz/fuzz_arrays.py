"""Arrays, valid and then not: .npz archives and IDX files."""

import gzip
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fuzz_base import HOSTILE, Case, flip_bytes, truncate
from numpy.typing import NDArray

SAMPLES = 60


@dataclass
class Archive:
    """Arrays by name, and what is done to the file at the end."""

    arrays: dict[str, NDArray[Any]]
    name: str = "data.npz"
    damage: Callable[[bytes], bytes] | None = None


def valid_archive(draw: random.Random) -> Archive:
    """Small pictures, or features, of three classes that differ."""
    numbers = np.random.default_rng(draw.getrandbits(32))
    labels = np.arange(SAMPLES) % 3
    if draw.random() < 0.5:
        x: NDArray[Any] = numbers.integers(0, 120, (SAMPLES, 8, 8), dtype=np.uint8)
        x = (x + 60 * labels[:, None, None]).astype(np.uint8)
    else:
        x = numbers.normal(size=(SAMPLES, 5)) + labels[:, None]
    return Archive({"x": x, "y": labels})


def array_type(archive: Archive, draw: random.Random) -> None:
    key = draw.choice(list(archive.arrays))
    array = archive.arrays[key]
    kinds: tuple[Callable[[], NDArray[Any]], ...] = (
        lambda: array.astype(np.float32) / 255,
        lambda: array.astype(np.int64),
        lambda: array.astype(np.float16),
        lambda: array > 1,
        lambda: array.astype(np.complex64),
        lambda: array.astype(object),
        lambda: array.astype(str),
        lambda: array.astype(np.int64).astype("datetime64[D]"),
        lambda: array.astype(">i2"),
        lambda: array.astype(np.uint64) + 2**60,
        lambda: np.zeros(len(array), dtype=[("a", "i4"), ("b", "f4")]),
        lambda: array.astype(np.float64) * 1e300,
        lambda: array.astype("S"),
    )
    archive.arrays[key] = draw.choice(kinds)()


def array_shape(archive: Archive, draw: random.Random) -> None:
    key = draw.choice(list(archive.arrays))
    array = archive.arrays[key]
    kinds: tuple[Callable[[], NDArray[Any]], ...] = (
        lambda: array[..., None],
        lambda: array[None],
        lambda: array.reshape(len(array), -1),
        lambda: array[: draw.choice((0, 1, 2, 30, SAMPLES - 1))],
        lambda: array.T,
        lambda: array.ravel(),
        lambda: np.stack([array] * 3, axis=-1),
        lambda: np.stack([array] * 3, axis=1),
        lambda: np.stack([array] * 5, axis=-1),
        lambda: array.reshape(len(array), -1)[:, :0],
        lambda: np.array(3.0),
    )
    archive.arrays[key] = draw.choice(kinds)()


def array_extremes(archive: Archive, draw: random.Random) -> None:
    key = draw.choice(list(archive.arrays))
    array = archive.arrays[key].astype(np.float64, copy=True)
    if array.size:
        count = draw.choice((1, max(array.size // 2, 1), array.size))
        array.flat[: count if draw.random() < 0.5 else 1] = draw.choice(
            (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320)
        )
    archive.arrays[key] = array


def array_labels(archive: Archive, draw: random.Random) -> None:
    if "y" not in archive.arrays:
        return
    count = len(np.atleast_1d(archive.arrays["y"]))
    numbers = np.random.default_rng(draw.getrandbits(32))
    plain = [name for name in HOSTILE if "\udce9" not in name]
    kinds: tuple[Callable[[], NDArray[Any]], ...] = (
        lambda: np.zeros(count, np.int64),
        lambda: np.arange(count),
        lambda: numbers.normal(size=count),
        lambda: numbers.normal(size=(count, 2)),
        lambda: np.eye(3)[np.arange(count) % 3],
        lambda: np.array([draw.choice(plain) for _ in range(count)]),
        lambda: (np.arange(count) == 0).astype(np.int64),
        lambda: -(np.arange(count) % 3),
        lambda: np.arange(count) % 2 * 10**12,
        lambda: np.full(count, np.nan),
    )
    archive.arrays["y"] = draw.choice(kinds)()


def array_keys(archive: Archive, draw: random.Random) -> None:
    x, y = archive.arrays.get("x", np.zeros(0)), archive.arrays.get("y", np.zeros(0))
    some = min(len(np.atleast_1d(x)), len(np.atleast_1d(y))) // 2
    kinds: tuple[Callable[[], dict[str, NDArray[Any]]], ...] = (
        lambda: {"images": x, "labels": y},
        lambda: {"x_train": x, "y_train": y, "x_test": x[:some], "y_test": y[:some]},
        lambda: {"x_train": x, "y_train": y, "x_test": x[:some]},
        lambda: {"X": x, "Y": y, "meta": np.zeros(3)},
        lambda: {"x": x},
        lambda: {"arr_0": x, "arr_1": y},
        lambda: {"x": x, "images": x, "y": y},
        dict,
    )
    if np.ndim(x) and np.ndim(y):
        archive.arrays = draw.choice(kinds)()


def archive_damage(archive: Archive, draw: random.Random) -> None:
    archive.damage = (lambda data: truncate(data, draw)) if draw.random() < 0.5 else (lambda d: flip_bytes(d, draw))


def archive_name(archive: Archive, draw: random.Random) -> None:
    archive.name = draw.choice(("data.csv", "data.zip", "data", "data.parquet", "data.NPZ", "-data.npz"))


def write_archive(case: Case, archive: Archive, draw: random.Random) -> None:
    """The archive, packed or not."""
    data = io.BytesIO()
    save = np.savez if draw.random() < 0.5 else np.savez_compressed
    save(data, **archive.arrays)  # type: ignore[arg-type]  # numpy's stub takes the names of its options for arrays'
    content = data.getvalue()
    path = case.folder / archive.name
    path.write_bytes(archive.damage(content) if archive.damage else content)
    case.arguments.append(str(path))


@dataclass
class Idx:
    """Files by name: header and content apart, so that each can be changed."""

    arrays: dict[str, NDArray[Any]]
    headers: dict[str, bytes] = field(default_factory=dict)
    damage: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    zipped: bool = True
    whole_folder: bool = True


CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def valid_idx(draw: random.Random) -> Idx:
    """Pictures and labels of a training and a test set."""
    numbers = np.random.default_rng(draw.getrandbits(32))
    arrays: dict[str, NDArray[Any]] = {}
    for part, count in (("train", SAMPLES), ("t10k", SAMPLES // 2)):
        labels = (np.arange(count) % 3).astype(np.uint8)
        pixels = numbers.integers(0, 120, (count, 7, 9), dtype=np.uint8) + 60 * labels[:, None, None]
        arrays |= {f"{part}-images-idx3-ubyte": pixels.astype(np.uint8), f"{part}-labels-idx1-ubyte": labels}
    return Idx(arrays)


def idx_damage(idx: Idx, draw: random.Random) -> None:
    how = truncate if draw.random() < 0.5 else flip_bytes
    idx.damage[draw.choice(list(idx.arrays))] = lambda data: how(data, draw)


def idx_header(idx: Idx, draw: random.Random) -> None:
    key = draw.choice(list(idx.arrays))
    count = len(idx.arrays[key])
    idx.headers[key] = draw.choice(
        (
            bytes([0, 0, 8, 3]) + np.array([count, 7, 9], ">u4").tobytes(),
            bytes([0, 0, 8, 3]) + np.array([2**31, 7, 9], ">u4").tobytes(),
            bytes([0, 0, 8, 3]) + np.array([count, 2**31, 2**31], ">u4").tobytes(),
            bytes([0, 0, 8, 3]) + np.array([count, 0, 9], ">u4").tobytes(),
            bytes([0, 0, 8, 0]),
            bytes([0, 0, 8, 255]) + np.array([count], ">u4").tobytes(),
            bytes([0, 0, 0x0D, 3]) + np.array([count // 4, 7, 9], ">u4").tobytes(),
            b"\x1f\x8b\x08",
        )
    )


def idx_type(idx: Idx, draw: random.Random) -> None:
    key = draw.choice(list(idx.arrays))
    idx.arrays[key] = idx.arrays[key].astype(f"<{draw.choice(list(CODES))}")


def idx_values(idx: Idx, draw: random.Random) -> None:
    key = draw.choice(list(idx.arrays))
    array = idx.arrays[key].astype(np.float32)
    if array.size:
        array.flat[: draw.choice((1, array.size))] = draw.choice((np.nan, np.inf, -1e38, 0.0, 7.0))
    idx.arrays[key] = array


def idx_length(idx: Idx, draw: random.Random) -> None:
    part = draw.choice(("train", "t10k"))
    length = draw.choice((0, 1, 2, 20))
    for key in idx.arrays:
        if key.startswith(part) and draw.random() < 0.8:
            idx.arrays[key] = idx.arrays[key][:length]


def idx_files(idx: Idx, draw: random.Random) -> None:
    key = draw.choice(list(idx.arrays))
    array = idx.arrays.pop(key)
    if draw.random() < 0.5:
        idx.arrays[draw.choice((key.replace("labels", "label"), key.upper(), key.replace("-idx", ".idx"), "other"))] = (
            array
        )


def idx_order(idx: Idx, draw: random.Random) -> None:
    for key, array in idx.arrays.items():
        if "label" in key:
            idx.arrays[key] = np.sort(array) if draw.random() < 0.5 else np.zeros_like(array)


def idx_plain(idx: Idx, draw: random.Random) -> None:
    idx.zipped = not idx.zipped


def idx_one_file(idx: Idx, draw: random.Random) -> None:
    idx.whole_folder = False


def write_idx(case: Case, idx: Idx, draw: random.Random) -> None:
    """The folder of files."""
    folder = case.folder / "idx"
    folder.mkdir()
    for name, array in idx.arrays.items():
        kind = array.dtype.str[1:]
        head = bytes([0, 0, CODES.get(kind, 0x08), array.ndim]) + np.array(array.shape, ">u4").tobytes()
        data = idx.headers.get(name, head) + array.astype(f">{kind}").tobytes()
        data = gzip.compress(data, mtime=0) if idx.zipped else data
        damage = idx.damage.get(name)
        (folder / f"{name}{'.gz' if idx.zipped else ''}").write_bytes(damage(data) if damage else data)
    files = sorted(folder.iterdir())
    case.arguments.append(str(folder if idx.whole_folder or not files else files[-2 if len(files) > 1 else 0]))


ARCHIVE_MUTATIONS: tuple[Callable[[Archive, random.Random], None], ...] = (
    *(array_type, array_type, array_shape, array_shape, array_extremes, array_labels, array_labels, array_keys),
    *(archive_damage, archive_name),
)
IDX_MUTATIONS: tuple[Callable[[Idx, random.Random], None], ...] = (
    *(idx_damage, idx_damage, idx_header, idx_type, idx_values, idx_length, idx_files, idx_order, idx_plain),
    idx_one_file,
)
