"""What stands in a prepared folder besides its targets: inputs, their encoder and the parts they fall into."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.errors import DataError, TargetError
from trainwell.core.protocols import Progress
from trainwell.core.records.data import ColumnRecord, LeftOut
from trainwell.core.seeds import generator
from trainwell.data.blocks import Blocks, table_in_blocks
from trainwell.data.dataset import Dataset
from trainwell.data.duplicates import are_copies, groups_of_rows
from trainwell.data.encoders import Encoder
from trainwell.data.fitting import fit_table
from trainwell.data.image_store import store
from trainwell.data.kinds import counts_in, kind_of
from trainwell.data.look_alikes import repeats_of_pictures
from trainwell.data.raw import PARTS, PictureFiles, Pixels, Raw, shown
from trainwell.data.splits import draw_parts, strata_of_quantities
from trainwell.data.storage import ArrayWriter
from trainwell.data.targets import Targets, check_counts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assembled:
    """What was written to `inputs.npy`, and what is known of it.

    Attributes:
        encoder: how it came there.
        parts: index into PARTS of each sample written.
        kept: which of the samples read it is.
        chosen: which of the encoded targets is its.
        duplicates: samples that repeat another.
        columns: of a table.
        left_out: what could not be decoded.
        warnings: sentences for the report.
    """

    encoder: Encoder
    parts: NDArray[np.int8]
    kept: NDArray[np.int64]
    chosen: NDArray[np.int64] | slice
    duplicates: int
    columns: tuple[ColumnRecord, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()


def _split(
    targets: Targets, chosen: NDArray[np.int64] | slice, groups: NDArray[np.int64], given: NDArray[np.int8], seed: int
) -> tuple[NDArray[np.int8], int, tuple[str, ...]]:
    values = targets.values[chosen]
    strata = values if targets.task == "classification" else strata_of_quantities(values)
    differing = int(groups.max()) + 1
    duplicates = len(groups) - differing
    warnings: list[str] = []
    if duplicates and not are_copies(groups):
        warnings.append(
            f"Only {differing:,} of {len(groups):,} samples differ: repeats are taken for what the data "
            "is like, and stand on both sides of the split."
        )
        groups = np.arange(len(groups))
    classes = len(targets.names) if targets.task == "classification" else 1
    parts = draw_parts(strata, groups, given=given, classes=classes, generator=generator(seed, "split"))
    empty = [part for i, part in enumerate(PARTS) if not (parts == i).any()]
    if empty:
        raise DataError(
            f"Each part needs samples, but nothing is left for {empty[0]}: only {int(groups.max()) + 1:,} samples "
            "differ. Add samples that differ."
        )
    fixed = given > 0
    apart = np.zeros(int(fixed.sum()), bool)
    if len(apart):
        for i in range(len(PARTS)):
            apart |= np.isin(groups[fixed], groups[parts == i]) & (parts[fixed] != i)
    shared = int(apart.sum())
    if shared:
        warnings.append(f"{shared:,} samples of the validation or test part given repeat a sample of another part.")
    if targets.task == "classification":
        absent = np.ones(len(targets.names), bool)
        absent[values[parts == 0]] = False
        # A class that no sample is left of is in no part.
        unseen = np.intersect1d(np.flatnonzero(absent), values[parts != 0])
        if len(unseen):
            raise TargetError(
                f'Every class must be in the training part, but "{targets.names[int(unseen[0])]}" is in another only. '
                "Add samples of it or take it out."
            )
    return parts, duplicates, tuple(warnings)


def assemble_table(folder: Path, raw: Raw, inputs: pl.DataFrame | Blocks, targets: Targets, *, seed: int) -> Assembled:
    """A table as `inputs.npy`.

    Args:
        folder: where it is written.
        raw: the data as found.
        inputs: its inputs.
        targets: encoded.
        seed: of the split.
    Raises:
        DataError: no column is left to learn from, or too few rows differ.
    """
    kept = targets.kept
    table = table_in_blocks(inputs)
    found = {name: kind_of(table.column(name, rows=kept)) for name in table.columns}
    kinds = tuple(column for column, _ in found.values() if column is not None)
    if not kinds:
        raise DataError("A table needs a column to learn from, but all are empty, constant or identifiers.")
    groups = groups_of_rows(table, kinds, rows=kept)
    parts, duplicates, warnings = _split(targets, slice(None), groups, raw.parts[kept], seed)
    del groups
    encoder, constant = fit_table(table, kinds, rows=kept[parts == 0])
    with ArrayWriter(folder / "inputs.npy", shape=encoder.layout.shape, dtype=np.float32) as writer:
        for frame in table.frames([column.name for column in encoder.columns], rows=kept):
            writer.append(encoder.encode_rows(frame))
    counts = {name: counts_in(table.column(name, rows=kept)) for name in found}
    records = tuple(
        ColumnRecord(
            name=shown(name),
            kind="left out" if column is None or name in constant else column.kind,
            missing=counts[name].missing,
            distinct=counts[name].distinct,
            why=constant.get(name, why),
        )
        for name, (column, why) in found.items()
    )
    infinite = [name for name, (column, _) in found.items() if column is not None and counts[name].infinite]
    if infinite:
        warnings += (f"Infinite values count as missing, in {', '.join(shown(name) for name in infinite[:5])}.",)
    return Assembled(
        encoder=encoder,
        parts=parts,
        kept=kept,
        chosen=slice(None),
        duplicates=duplicates,
        columns=records,
        warnings=warnings,
    )


def assemble_pictures(
    folder: Path,
    raw: Raw,
    inputs: Pixels | PictureFiles,
    targets: Targets,
    *,
    seed: int,
    max_side: int | None,
    progress: Progress,
    like: Dataset | None = None,
) -> Assembled:
    """Pictures as `inputs.npy`.

    Args:
        folder: where it is written.
        raw: the data as found.
        inputs: its pictures.
        targets: encoded.
        seed: of the split.
        max_side: longest side in pixels, or None for the default.
        progress: is told how many are decoded.
        like: the same pictures at another size, whose parts are taken; None: they are drawn.
    Raises:
        DataError: too many pictures cannot be read, or too few differ; or they are not those of `like`.
    """
    file = folder / "inputs.npy"
    stored = store(
        file,
        inputs,
        wanted=targets.kept,
        names=raw.names,
        max_side=max_side,
        progress=progress,
        square=like is not None,
    )
    chosen = stored.kept
    if targets.task == "classification":
        check_counts(np.bincount(targets.values[chosen], minlength=len(targets.names)), targets.names)
    if like is not None:
        parts = np.zeros(like.record.samples, np.int8)
        for i, part in enumerate(PARTS):
            parts[like.parts[part].numpy()] = i
        if not np.array_equal(targets.values[chosen], like.targets.numpy()):
            raise DataError(
                f"The same pictures must be prepared at another size, but {len(chosen):,} can be read now, "
                f"{like.record.samples:,} before. Leave the data as it is while a run goes on."
            )
        return Assembled(
            encoder=stored.encoder,
            parts=parts,
            kept=targets.kept[chosen],
            chosen=chosen,
            duplicates=like.record.duplicates,
            left_out=stored.left_out,
        )
    repeats = repeats_of_pictures(np.load(file, mmap_mode="r", allow_pickle=False), scratch=folder / "sketches.npy")
    kept = targets.kept[chosen]
    parts, duplicates, warnings = _split(targets, chosen, repeats.groups, raw.parts[kept], seed)
    return Assembled(
        encoder=stored.encoder,
        parts=parts,
        kept=kept,
        chosen=chosen,
        duplicates=duplicates,
        left_out=stored.left_out,
        warnings=(*repeats.warnings, *warnings),
    )
