"""Folders of pictures: a folder a class, or train, val and test folders of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from trainwell.core.errors import DataError
from trainwell.core.records.data import LeftOut
from trainwell.data.fingerprint import digest_of_files, digest_of_text
from trainwell.data.images import SUFFIXES
from trainwell.data.raw import UNDECIDED, Located, PictureFiles, Raw, shown_path
from trainwell.data.texts import Texts

PART_FOLDERS = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
}
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def is_litter(name: str) -> bool:
    """Whether an entry is what file managers leave, or hidden."""
    return name.startswith(".") or name.lower() in _LITTER


def listed(folder: str) -> list[os.DirEntry[str]]:
    """Entries of a folder in the order of their bytes, without litter.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not is_litter(e.name)), key=lambda e: os.fsencode(e.name))
    except OSError as error:
        raise DataError(
            f"{shown_path(folder)} must be readable, but: {error.strerror}. Change its permissions."
        ) from error


def walk(folder: str) -> tuple[list[str], list[LeftOut]]:
    """All files below a folder, links followed but never in a circle.

    Returns:
        Paths in the order of their bytes, and what could not be entered.
    """
    left_out: list[LeftOut] = []
    return list(_below(folder, left_out)), left_out


def _below(folder: str, left_out: list[LeftOut]) -> Iterator[str]:
    # One folder's names are held at a time.
    stack: list[tuple[str, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
    while stack:
        current, above = stack.pop()
        try:
            status = Path(current).stat()
            own = (status.st_dev, status.st_ino)
            if own in above:
                left_out.append(LeftOut(name=shown_path(current), why="a link that leads in a circle"))
                continue
            folders, files = _names_in(current)
        except OSError as error:
            why = error.strerror or "the folder cannot be read"
            left_out.append(LeftOut(name=shown_path(current), why=f"it cannot be read: {why}"))
            continue
        here = current if current.endswith(os.sep) else current + os.sep
        stack += [(here + os.fsdecode(name), above | {own}) for name in reversed(folders)]
        for name in files:
            yield here + os.fsdecode(name)


def _names_in(folder: str) -> tuple[list[bytes], list[bytes]]:
    names: tuple[list[bytes], list[bytes]] = ([], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_litter(entry.name):
                names[0 if _is_folder(entry) else 1].append(os.fsencode(entry.name))
    for each in names:
        each.sort()
    return names


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself is no folder; opening it will say so.
        return False


def part_folders(folder: str) -> dict[int, str]:
    """Index into PARTS -> folder, where a folder is made of part folders; else empty.

    Raises:
        DataError: two folders are for one part.
    """
    folders = [entry for entry in listed(folder) if _is_folder(entry)]
    if not any(entry.name.lower() in PART_FOLDERS for entry in folders):
        return {}
    known = [entry for entry in folders if entry.name.lower() in PART_FOLDERS]
    # "train" may be a class among others, such as plane and car.
    nested = any(_is_folder(inner) for entry in known for inner in listed(entry.path))
    if not nested or not any(PART_FOLDERS[entry.name.lower()] == 0 for entry in known):
        return {}
    found: dict[int, str] = {}
    for entry in known:
        code = PART_FOLDERS[entry.name.lower()]
        if code in found:
            raise DataError(
                f"Each part needs one folder, but {shown_path(folder)} has both {Path(found[code]).name} and "
                f"{entry.name}. Leave one."
            )
        found[code] = entry.path
    return found


def locate(folder: Path) -> Located:
    """A folder of pictures.

    Args:
        folder: with a folder a class, or with train, val and test folders of them.
    Raises:
        DataError: it holds no pictures in class folders.
    """
    root = os.fspath(folder)
    parts = part_folders(root) or {UNDECIDED: root}
    # Of a million pictures only names are held, in one piece; labels and parts run on from picture to picture.
    here = root if root.endswith(os.sep) else root + os.sep
    runs: list[tuple[str, int, int]] = []
    left_out: list[LeftOut] = []
    ignored: list[str] = []
    warnings: list[str] = []

    def found() -> Iterator[str]:
        for code, path in parts.items():
            classes = [entry for entry in listed(path) if _is_folder(entry)]
            loose = [entry.path for entry in listed(path) if not _is_folder(entry)]
            if not classes:
                raise DataError(_no_classes(path, loose))
            ignored.extend(os.path.relpath(item, root) for item in loose)
            shown_as: dict[str, str] = {}
            for entry in classes:
                label = shown_path(entry.name)
                if shown_as.setdefault(label, entry.name) != entry.name:
                    raise DataError(f'Class folders must differ in name, but two are shown as "{label}". Rename one.')
                count = 0
                for file in _below(entry.path, left_out):
                    yield file.removeprefix(here)
                    count += 1
                if not count:
                    warnings.append(f'The class folder "{label}" is empty.')
                runs.append((label, code, count))

    below = Texts(found())
    if not len(below):
        raise DataError(
            f"A folder must hold pictures in a folder for each class, but the folders in {shown_path(root)} are empty."
        )
    paths = below.written_as(lambda name: here + name)
    names = below.written_as(shown_path)
    codes = np.repeat(np.array([code for _, code, _ in runs], np.int8), [count for _, _, count in runs])
    strays = [name for name in ignored if Path(name).suffix.lower() in SUFFIXES]
    if strays:
        warnings.append(
            f"{len(strays):,} pictures outside the class folders are not used, such as {shown_path(strays[0])}."
        )

    def digest() -> str:
        pairs = ((f"{name}\x00{code}", path) for name, path, code in zip(names, paths, codes, strict=True))
        return digest_of_text("folder", digest_of_files(pairs))

    def read() -> Raw:
        labels = pl.Enum(sorted({label for label, _, count in runs if count}))
        classes = [pl.Series("class", [label], labels).new_from_index(0, count) for label, _, count in runs if count]
        return Raw(
            inputs=PictureFiles(paths=paths),
            target=pl.concat(classes).to_frame(),
            names=names,
            parts=codes,
            classes=True,
            left_out=tuple(left_out),
            warnings=tuple(warnings),
        )

    return Located(name=root, digest=digest, read=read)


def _no_classes(path: str, loose: list[str]) -> str:
    where = shown_path(path)
    if not loose:
        return f"A folder must hold pictures in a folder for each class, but {where} is empty."
    if any(Path(item).suffix.lower() in SUFFIXES for item in loose):
        return f"Pictures must lie in a folder for each class, but {where} holds pictures and no folders. Sort them so."
    return (
        f"A folder must hold pictures in a folder for each class, or IDX files, but {where} holds neither. "
        "A table is named by its own path."
    )
