"""`.npz` archives: arrays by name, never pickled objects."""

import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwell.core.errors import DataError
from trainwell.data import memory
from trainwell.data.fingerprint import digest_of_files, digest_of_text
from trainwell.data.joining import joined
from trainwell.data.raw import UNDECIDED, Located, Raw, shown, shown_path

_INPUTS = frozenset(
    {"x", "images", "image", "imgs", "img", "pictures", "data", "features", "inputs", "input", "samples"}
)
_TARGETS = frozenset({"y", "labels", "label", "targets", "target", "classes", "class"})
_PARTS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}
# An archive this much larger unpacked than packed holds nothing that was measured.
_BOMB_RATIO = 200
_BOMB_BYTES = 1 << 28


def _role(key: str) -> tuple[int, str] | None:
    words = [word for word in re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", key).lower()) if word]
    part, role = UNDECIDED, ""
    for word in words:
        if word in _PARTS:
            part = _PARTS[word]
        elif word in _INPUTS and not role:
            role = "inputs"
        elif word in _TARGETS:
            role = "targets"
        else:
            for prefix in ("x", "y"):
                # xtrain, ytest
                if word.startswith(prefix) and word[1:] in _PARTS:
                    part, role = _PARTS[word[1:]], "inputs" if prefix == "x" else "targets"
                    break
            else:
                return None
    return (part, role) if role else None


def _members(keys: list[str], path: Path) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for key in keys:
        placed = _role(key)
        if placed is None:
            continue
        part, role = placed
        if role in found.setdefault(part, {}):
            raise DataError(
                f'{shown_path(path)} must hold one array of {role}, but "{shown(found[part][role])}" and '
                f'"{shown(key)}" both look like it. Leave one.'
            )
        found[part][role] = key
    whole = {part: roles for part, roles in found.items() if len(roles) == 2}
    base = 0 if 0 in whole else UNDECIDED
    if base not in whole:
        listed = ", ".join(shown(key) for key in keys[:12]) or "nothing"
        raise DataError(
            f"{shown_path(path)} must hold inputs and targets under names such as x and y, images and labels, "
            f"or x_train and y_train, but holds {listed}. Save it again with such names."
        )
    half = sorted(key for part, roles in found.items() if part not in whole for key in roles.values())
    if half:
        raise DataError(
            f'{shown_path(path)} must hold inputs and targets of each part, but "{shown(half[0])}" has none.'
        )
    # x and y beside x_train and y_train are the whole of it again.
    return {part: roles for part, roles in whole.items() if base == UNDECIDED or part != UNDECIDED}


def _checked(archive: zipfile.ZipFile, key: str, path: Path) -> None:
    info = archive.getinfo(f"{key}.npy")
    name = f'"{shown(key)}" in {shown_path(path)}'
    if info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * max(1, info.compress_size):
        raise DataError(
            f"Arrays must not unpack to more than {_BOMB_RATIO} times their size, but {name} does "
            f"({info.compress_size:,} to {info.file_size:,} bytes): it may be a decompression bomb."
        )
    with archive.open(info) as handle:
        version = np.lib.format.read_magic(handle)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(handle)
        if dtype.hasobject:
            raise DataError(
                f"Arrays must be numbers or text, but {name} holds pickled Python objects, which can carry code and "
                "are never loaded. Save it again as numbers or text."
            )
        if int(np.prod(shape, dtype=object)) * dtype.itemsize + handle.tell() != info.file_size:
            raise DataError(f"{name} is damaged: its header says {shape}, which is not what follows. Save it again.")


def load(path: Path) -> dict[int, dict[str, NDArray[Any]]]:
    """Inputs and targets of each part.

    Raises:
        DataError: it is no such archive, is damaged, holds pickled objects or unpacks to far more than it is.
    """
    name = shown_path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [item.removesuffix(".npy") for item in archive.namelist() if item.endswith(".npy")]
            members = _members(keys, path)
            for roles in members.values():
                for key in roles.values():
                    _checked(archive, key, path)
        with np.load(path, allow_pickle=False) as loaded:
            return {part: {role: loaded[key] for role, key in roles.items()} for part, roles in members.items()}
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{name} must fit in memory, but does not. Save it in parts, or as picture files.") from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        KeyError,
        EOFError,
        RuntimeError,  # NotImplementedError too: a compression or encryption that zipfile does not know
        SyntaxError,
        TypeError,
        OSError,
    ) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
        raise DataError(f"{name} must be an .npz archive, but cannot be read ({shown(why)}). Save it again.") from error


def locate(path: Path) -> Located:
    """An .npz archive with arrays named x and y, images and labels, x_train and y_train, or the like."""

    def digest() -> str:
        return digest_of_text("npz", digest_of_files([("npz", path)]))

    def read() -> Raw:
        parts = load(path)
        raws = {part: memory.read(roles["inputs"], roles["targets"]) for part, roles in sorted(parts.items())}
        base = raws.pop(min(raws))
        return joined(base, [(raw, part) for part, raw in raws.items()]) if raws else base

    return Located(name=os.fspath(path), digest=digest, read=read)


def inputs_in(path: Path) -> NDArray[Any]:
    """The inputs of an archive, for prediction: targets may be there or not."""
    with zipfile.ZipFile(path) as archive:
        keys = [item.removesuffix(".npy") for item in archive.namelist() if item.endswith(".npy")]
        inputs = [key for key in keys if (_role(key) or (0, ""))[1] == "inputs"]
        if len(inputs) != 1:
            raise DataError(f"{shown_path(path)} must hold one array of inputs, but holds {len(inputs)}.")
        _checked(archive, inputs[0], path)
    with np.load(path, allow_pickle=False) as loaded:
        return np.asarray(loaded[inputs[0]])
