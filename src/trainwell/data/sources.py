"""Which kind of source it is that the user names."""

import difflib
import errno
import os
import stat
from pathlib import Path
from typing import Any

from trainwell.core.errors import DataError, TargetError
from trainwell.data import archives, builtin, folders, idx, memory, tables
from trainwell.data.files import open_regular
from trainwell.data.fingerprint import digest_of_text
from trainwell.data.images import SUFFIXES
from trainwell.data.joining import joined
from trainwell.data.raw import Located, Raw, shown, shown_path

_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".joblib", ".dill", ".ckpt", ".bin")
_KINDS = "a folder with a folder for each class, IDX files, .npz, .csv, .tsv, .parquet or .arrow"


def locate(source: Any, *, target: tuple[str, ...] = (), validation: Any = None, test: Any = None) -> Located:
    """A source, found and not yet read.

    Args:
        source: a folder, a file, a built-in name, or data in memory.
        target: columns of a table to be predicted.
        validation: the same kind of thing for the validation part.
        test: for the test part.
    Raises:
        DataError: there is no such thing, or it is of no kind that can be read.
    """
    base = _one(source, target)
    extra = [(_one(value, target), code) for value, code in ((validation, 1), (test, 2)) if value is not None]
    if not extra:
        return base

    def digest() -> str:
        return digest_of_text(base.digest(), *(f"{code} {part.digest()}" for part, code in extra))

    def read() -> Raw:
        return joined(base.read(), [(part.read(), code) for part, code in extra])

    def store(scratch: Path) -> Raw:
        return joined(base.read_with(scratch), [(part.read_with(scratch), code) for part, code in extra])

    return Located(name=base.name, digest=digest, read=read, store=store)


def _one(source: Any, target: tuple[str, ...]) -> Located:
    if not isinstance(source, str | Path):
        return memory.locate(source, target=target)
    text = os.fspath(source)
    name = shown(os.fsencode(text) if "\0" not in text else text)
    path = Path(text)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        if text in builtin.BUILTIN:
            _no_target(target, f'the built-in data "{text}" has its own', but=("target",))
            return builtin.locate(text)
        raise DataError(_missing(path, name, error)) from error
    if stat.S_ISDIR(status.st_mode):
        if path.suffix.lower() in tables.TEXT_SUFFIXES + tables.BINARY_SUFFIXES:
            raise DataError(f"A table must be a file, but {name} is a folder. Name the file in it.")
        _no_target(target, f"{name} is a folder, and --target is for tables")
        return idx.locate_folder(path) or folders.locate(path)
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"Data must be a folder or a file, but {name} is a pipe or a device.")
    return _file(path, name, target)


def _no_target(target: tuple[str, ...], why: str, *, but: tuple[str, ...] = ()) -> None:
    if target and target != but:
        raise TargetError(f'No target may be named here, but "{shown(target[0])}" is: {why}. Leave --target out.')


def _file(path: Path, name: str, target: tuple[str, ...]) -> Located:
    suffix = path.suffix.lower()
    head = _head(path, name)
    if suffix in _PICKLES or head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise DataError(
            f"Data must hold no code, but {name} is a pickle, which can run code when it is loaded and is never "
            "loaded. Save it as .npz, CSV or Parquet."
        )
    if suffix == ".npy":
        raise DataError(
            f"Data needs inputs and targets, but {name} is a single array. Save both as one .npz, named x and y."
        )
    if suffix == ".npz" or (head[:4] == b"PK\x03\x04" and suffix not in tables.TEXT_SUFFIXES):
        _no_target(target, "an .npz names its targets by their key, such as y")
        return archives.locate(path)
    if idx.is_idx(path):
        _no_target(target, "IDX files have their labels beside them")
        return idx.locate_file(path)
    if suffix in tables.TEXT_SUFFIXES + tables.BINARY_SUFFIXES or head[:4] == b"PAR1" or head[:6] == b"ARROW1":
        return tables.locate(path, target=target)
    if suffix in SUFFIXES:
        raise DataError(
            f"Data must be more than one picture, but {name} is one. Name the folder that holds the class folders."
        )
    raise DataError(f"Data must be {_KINDS}, but {name} is none of these.")


def _head(path: Path, name: str) -> bytes:
    try:
        with open_regular(path) as handle:
            return handle.read(8)
    except OSError as error:
        raise DataError(f"{name} must be readable, but: {error.strerror or error}.") from error


def _missing(path: Path, name: str, error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return f"Data must be a folder or a file, but {name} is a link that leads in a circle."
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return f"{name} must be readable, but: {error.strerror}. Change its permissions."
    try:
        if path.is_symlink():
            return f"Data must be a folder or a file, but {name} is a link to nothing."
        beside = [shown_path(item.name) for item in path.parent.iterdir()]
    except (OSError, ValueError):
        beside = []
    near = difflib.get_close_matches(shown(path.name), [*beside, *builtin.BUILTIN], n=1, cutoff=0.6)
    hint = f'Did you mean "{near[0]}"?' if near else f"Built in are: {', '.join(sorted(builtin.BUILTIN))}."
    return f"Data must exist, but there is no {name}. {hint}"
