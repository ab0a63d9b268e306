"""Features of every sample under a fixed network, computed once and kept beside the prepared data.

They are a prepared folder of their own: a table of the same samples in the same parts, which everything that trains on
tables can open. They are written block by block, each with a digest, so that a call that was killed, or a file that was
damaged, costs the blocks concerned and no more.
"""

import contextlib
import dataclasses
import hashlib
import io
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainwell.core.errors import DataError, SettingError, StoreError
from trainwell.core.files import append_durably, write_atomically, writing
from trainwell.core.jsonio import from_json, to_json
from trainwell.core.protocols import Progress, Silent
from trainwell.core.records.layout import InputLayout
from trainwell.core.records.record import record
from trainwell.data.columns import NumberColumn
from trainwell.data.dataset import Dataset, open_prepared
from trainwell.data.encoders import TableEncoder
from trainwell.data.storage import lock

BLOCK_ROWS = 256
"""Samples that stand or fall together: half a minute's work of a large network on one core."""
BATCH = 64
"""Samples that go through the network at once, where memory allows."""

Extract = Callable[[Tensor], Tensor]


@record
class Block:
    """Rows of the file that were written whole.

    Attributes:
        number: of the block, from 0.
        digest: BLAKE2b of its bytes.
    """

    number: int
    digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """What there is now, and what it took.

    Attributes:
        dataset: the features as a table: same samples, targets and parts.
        computed: samples that went through the network in this call; the others were there.
        batch_size: at once, in the end: half as often as memory ran out.
    """

    dataset: Dataset
    computed: int
    batch_size: int


def compute_features(
    dataset: Dataset,
    extract: Extract,
    *,
    width: int,
    name: str,
    maps: tuple[int, int, int] | None = None,
    inputs: Tensor | None = None,
    batch_size: int = BATCH,
    progress: Progress = Silent(),  # noqa: B008 - Silent has no state to share
) -> Features:
    """The features of all samples, from the folder beside the data or computed now.

    Args:
        dataset: prepared.
        extract: a batch of inputs (batch, ...) -> features (batch, width) in floating point, the same on every call.
        width: features a sample, >= 1.
        name: of the network, its weights and precision: what the folder is called, after the data's.
        maps: channels, height and width where the features are maps, laid out as one row; None: they are not.
        inputs: what the network is given instead of the dataset's own: other pictures of the same samples.
        batch_size: samples at once, >= 1; halved where memory runs out.
        progress: is told how many are done.
    Returns:
        The features, memory-mapped, in float32.
    Raises:
        SettingError: width or batch_size below 1, or a name that is no folder's.
        DataError: features that are not finite, or of another shape.
        StoreError: the folder cannot be written: what was computed before stays.
    """
    _check(width=width, batch_size=batch_size, name=name)
    given = dataset.inputs if inputs is None else inputs
    if len(given) != len(dataset.inputs) or (maps is not None and math.prod(maps) != width):
        raise SettingError(
            f"`inputs` must be the same {len(dataset.inputs):,} samples and `maps` as large as `width` = {width}, but "
            f"got {len(given):,} samples and {maps}. Take both from the same data and network."
        )
    folder = dataset.folder.with_name(f"{dataset.folder.name}-{name}")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _held(folder):
        work = _Work(folder, samples=len(dataset.inputs), width=width)
        missing = work.missing()
        if missing:
            batch_size = work.fill(missing, given, extract, batch_size, progress)
        # Small, and the data's: written anew, it cannot be damaged.
        _furnish(folder, dataset, width, maps)
        made = open_prepared(folder)
    return Features(dataset=made, computed=sum(map(work.rows, missing)), batch_size=batch_size)


class _Work:
    """The file of features and the list of its blocks."""

    def __init__(self, folder: Path, *, samples: int, width: int) -> None:
        self.file = folder / "inputs.npy"
        self.list = folder / "blocks.jsonl"
        self.samples, self.width = samples, width
        self.blocks = -(-samples // BLOCK_ROWS)
        self.header = _header(samples, width)

    def rows(self, number: int) -> int:
        """Of a block: the last one may be short."""
        return min(BLOCK_ROWS, self.samples - number * BLOCK_ROWS)

    def missing(self) -> list[int]:
        """Blocks that are not there as they were written."""
        known = self._known()
        if not self.file.is_file():
            return list(range(self.blocks))
        found = []
        with self.file.open("rb") as file:
            if file.read(len(self.header)) != self.header:
                return list(range(self.blocks))
            for number in range(self.blocks):
                data = file.read(self._size(number))
                if known.get(number) != _digest(data):
                    found.append(number)
        return found

    def fill(self, missing: list[int], inputs: Tensor, extract: Extract, batch_size: int, progress: Progress) -> int:
        """Compute and write blocks; the batch size that memory allowed in the end."""
        if not self.file.is_file() or self.file.stat().st_size < len(self.header):
            write_atomically(self.file, self.header)
        done = self.samples - sum(self.rows(number) for number in missing)
        with writing(self.file), self.file.open("r+b") as file:
            file.write(self.header)
            for number in missing:
                start = number * BLOCK_ROWS
                made, batch_size = _extracted(
                    inputs[start : start + self.rows(number)], extract, self.width, batch_size, progress
                )
                data = made.tobytes()
                # Written, not mapped: on a full disk a write raises, where a store into a map kills the process.
                file.seek(len(self.header) + start * self.width * 4)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                append_durably(self.list, (to_json(Block(number=number, digest=_digest(data))) + "\n").encode())
                done += self.rows(number)
                progress.update("computing features", {"done": float(done), "total": float(self.samples)})
            file.truncate(len(self.header) + self.samples * self.width * 4)
        return batch_size

    def _size(self, number: int) -> int:
        return self.rows(number) * self.width * 4

    def _known(self) -> dict[int, str]:
        """Block -> digest, the last word of each; a line that a crash cut off says nothing."""
        found: dict[int, str] = {}
        if not self.list.is_file():
            return found
        for line in self.list.read_bytes().split(b"\n"):
            with contextlib.suppress(StoreError):
                block = from_json(Block, line)
                found[block.number] = block.digest
        return found


def _extracted(
    inputs: Tensor, extract: Extract, width: int, batch_size: int, progress: Progress
) -> tuple[NDArray[np.float32], int]:
    made: list[Tensor] = []
    done = 0
    while done < len(inputs):
        try:
            with torch.inference_mode():
                part = extract(inputs[done : done + batch_size]).float().cpu()
        except RuntimeError as error:
            if not _is_memory(error) or batch_size == 1:
                raise
            batch_size = max(batch_size // 2, 1)
            progress.update("memory ran out: smaller batches", {"samples": float(batch_size)})
            continue
        if part.shape != (min(batch_size, len(inputs) - done), width):
            raise DataError(f"Features must be (batch, {width}), but the network returned {tuple(part.shape)}.")
        if not bool(part.isfinite().all()):
            raise DataError("Features must be finite, but the network returned NaN or Inf. Try float32.")
        made.append(part)
        done += len(part)
    return torch.cat(made).numpy(), batch_size


def _is_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _furnish(folder: Path, dataset: Dataset, width: int, maps: tuple[int, int, int] | None) -> None:
    """Everything else that a prepared folder holds; the record last, which makes it one."""
    encoder = TableEncoder(columns=tuple(NumberColumn(name=f"feature {i}") for i in range(1, width + 1)))
    channels, rows, columns = maps or (0, 0, 0)
    layout = InputLayout(kind="table", numbers=width, channels=channels, height=rows, width=columns)
    about = dataclasses.replace(dataset.record, input=layout, columns=(), left_out=(), warnings=())
    with writing(folder):
        for name in ("targets.npy", "splits.npz", "names.txt"):
            shutil.copyfile(dataset.folder / name, folder / name)
    write_atomically(folder / "encoder.json", to_json(encoder).encode())
    write_atomically(folder / "data.json", to_json(about, indent=2).encode())


def _header(samples: int, width: int) -> bytes:
    text = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (samples, width)}
    np.lib.format.write_array_header_1_0(text, described)
    return text.getvalue()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """One call at a time: another waits, and then finds what this one has written."""
    handle = lock(folder, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _check(*, width: int, batch_size: int, name: str) -> None:
    problems = []
    if width < 1:
        problems.append(f"`width >= 1` must hold, but got {width}. Count the network's features.")
    if batch_size < 1:
        problems.append(f"`batch_size >= 1` must hold, but got {batch_size}. Take at least one sample.")
    if not name or Path(name).name != name:
        problems.append(f'`name` must be a file\'s name, but got "{name}". Use letters, digits and hyphens.')
    if problems:
        raise SettingError(" ".join(problems))
