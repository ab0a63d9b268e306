"""From a case's number to its input, all of it drawn from that number."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import fuzz_arrays as arrays
import fuzz_pictures as pictures
import fuzz_tables as tables
from fuzz_base import Case

T = TypeVar("T")
CASES = 308
MOST_MUTATIONS = 3
OPTIONS = (
    ["--seed=-1"],
    ["--seed=7"],
    ["--budget=0"],
    ["--budget=5 parsecs"],
    ["--model=mlp"],
    ["--model=convnet"],
    ["--model=resnett"],
    ["--name=../out"],
    ["--name=fine"],
    ["--device=tpu"],
    ["--bugdet=5m"],
    ["--name=<script>alert(1)</script>"],
    ["--model=nothing.py:make"],
)


def make_case(number: int, folder: Path) -> Case:
    """The case of this number, written into a folder of its own."""
    draw = random.Random(f"fuzz {number}")
    case = Case(number, folder)
    KINDS[number % len(KINDS)](case, draw)
    if draw.random() < 0.06:
        added = draw.choice(OPTIONS)
        case.told += added
        case.arguments += added
        case.options_changed = True
    return case


def _mutated(case: Case, draw: random.Random, made: T, mutations: tuple[Callable[[T, random.Random], None], ...]) -> T:
    for _ in range(draw.choice((1, 1, 2, 2, MOST_MUTATIONS))):
        mutate = draw.choice(mutations)
        case.told.append(mutate.__name__)
        # A mutation that has nothing left to change (no rows, no files) leaves it so.
        try:
            mutate(made, draw)
        except (IndexError, ValueError, OverflowError, KeyError):
            case.told[-1] += " (nothing to change)"
    return made


def _text(case: Case, draw: random.Random, *, separator: str, suffix: str) -> None:
    table = tables.valid(draw, separator=separator, suffix=suffix)
    tables.write_text(case, _mutated(case, draw, table, tables.MUTATIONS), draw)


def _parquet(case: Case, draw: random.Random) -> None:
    table = tables.valid(draw, separator=",", suffix=".parquet")
    _mutated(case, draw, table, tables.MUTATIONS)
    if draw.random() < 0.5:
        case.told.append("retyped")
    tables.write_parquet(case, table, draw)


def _pictures(case: Case, draw: random.Random, *, kind: str) -> None:
    folder = pictures.valid(draw, kind=kind)
    pictures.write(case, _mutated(case, draw, folder, pictures.MUTATIONS), draw)


def _archive(case: Case, draw: random.Random) -> None:
    archive = arrays.valid_archive(draw)
    arrays.write_archive(case, _mutated(case, draw, archive, arrays.ARCHIVE_MUTATIONS), draw)


def _idx(case: Case, draw: random.Random) -> None:
    arrays.write_idx(case, _mutated(case, draw, arrays.valid_idx(draw), arrays.IDX_MUTATIONS), draw)


KINDS: tuple[Callable[..., Any], ...] = (
    lambda case, draw: _text(case, draw, separator=",", suffix=".csv"),
    lambda case, draw: _pictures(case, draw, kind="PNG"),
    _archive,
    _parquet,
    lambda case, draw: _pictures(case, draw, kind="JPEG"),
    lambda case, draw: _text(case, draw, separator="\t", suffix=".tsv"),
    _idx,
)
"""Kinds of input, which take turns."""
