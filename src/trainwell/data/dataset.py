"""Prepared data, memory-mapped."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from trainwell.core.errors import DataError, StoreError
from trainwell.core.jsonio import from_json
from trainwell.core.records.data import DataRecord
from trainwell.data.encoders import Encoder, ImageEncoder, TableEncoder
from trainwell.data.raw import PARTS
from trainwell.data.texts import Texts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Prepared data.

    Attributes:
        record: what is known of it.
        folder: where it lies.
        inputs: all samples as the network takes them; a copy-on-write map of the file: writing changes nothing there.
        targets: class indices, or targets in their own units.
        parts: part -> indices into inputs and targets.
        encoder: how new samples become such inputs.
    """

    record: DataRecord
    folder: Path
    inputs: UInt8[Tensor, "samples height width channels"] | Float32[Tensor, "samples columns"]
    targets: Int64[Tensor, " samples"] | Float32[Tensor, "samples targets"]
    parts: dict[str, Int64[Tensor, " part"]]
    encoder: Encoder

    @functools.cached_property
    def names(self) -> Sequence[str]:
        """The samples' names: files as the user has them, or "row 17" counted from 1."""
        with (self.folder / "names.txt").open(encoding="utf-8", newline="\n") as file:
            return Texts(line.removesuffix("\n") for line in file)

    def source_of(self, i: int) -> str:
        """Where sample `i` comes from, such as "cats/17.png" or "row 17"."""
        return self.names[i]


def open_prepared(folder: Path) -> Dataset:
    """A prepared folder, memory-mapped: cheap however large it is.

    Args:
        folder: as `prepare` left it.
    Raises:
        DataError: it is no prepared folder, or damaged.
    """
    folder = Path(folder)
    try:
        record = from_json(DataRecord, (folder / "data.json").read_bytes())
        text = (folder / "encoder.json").read_bytes()
        encoder: Encoder = (
            from_json(ImageEncoder, text) if record.input.kind == "image" else from_json(TableEncoder, text)
        )
        inputs = torch.from_numpy(np.load(folder / "inputs.npy", mmap_mode="c", allow_pickle=False))
        targets = torch.from_numpy(np.load(folder / "targets.npy", mmap_mode="c", allow_pickle=False))
        with np.load(folder / "splits.npz", allow_pickle=False) as splits:
            parts: dict[str, Tensor] = {part: torch.from_numpy(splits[part]) for part in PARTS}
    except (OSError, ValueError, KeyError, EOFError, StoreError) as error:
        raise DataError(
            f"{folder} must be a folder of prepared data, but cannot be opened ({error}). Delete it and prepare again."
        ) from error
    if len(inputs) != record.samples or len(targets) != record.samples:
        raise DataError(f"{folder} is damaged: it should hold {record.samples} samples. Delete it and prepare again.")
    return Dataset(record=record, folder=folder, inputs=inputs, targets=targets, parts=parts, encoder=encoder)
