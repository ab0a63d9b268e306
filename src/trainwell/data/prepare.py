"""From whatever the user holds to a prepared folder: read, encoded, searched for repeats and split, once."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.errors import DataError, SettingError
from trainwell.core.jsonio import to_json
from trainwell.core.protocols import Progress, Silent
from trainwell.core.records.data import DataRecord, LeftOut
from trainwell.core.records.layout import OutputLayout
from trainwell.data.assemble import assemble_pictures, assemble_table
from trainwell.data.blocks import Blocks
from trainwell.data.dataset import Dataset, open_prepared
from trainwell.data.fingerprint import digest_of_text
from trainwell.data.raw import PARTS, Raw, shown
from trainwell.data.sources import locate
from trainwell.data.storage import building
from trainwell.data.targets import Targets, encode_targets

# Part of a folder's name: what an older version prepared otherwise is not taken for this one's.
FORMAT = 1
MOST_NAMED = 1000

__all__ = ["fingerprint", "open_prepared", "prepare"]


def _columns_named(target: str | tuple[str, ...]) -> tuple[str, ...]:
    # Columns are known under the names that are shown.
    return tuple(shown(name) for name in ((target,) if isinstance(target, str) else target))


def fingerprint(source: Any, *, target: str | tuple[str, ...] = (), test: Any = None, validation: Any = None) -> str:
    """BLAKE2b of everything that training reads: file names and bytes, or the values of arrays and tables.

    Args:
        source: as for `prepare`.
        target: as for `prepare`.
        test: as for `prepare`.
        validation: as for `prepare`.
    Raises:
        DataError: there is no such source.
    """
    return locate(source, target=_columns_named(target), validation=validation, test=test).digest()


def prepare(
    source: Any,
    *,
    target: str | tuple[str, ...] = (),
    seed: int = 0,
    cache: Path,
    max_side: int | None = None,
    progress: Progress = Silent(),  # noqa: B008 - Silent has no state to share
    test: Any = None,
    validation: Any = None,
    like: Dataset | None = None,
) -> Dataset:
    """Labelled data as a prepared folder: `cache/KEY` with inputs, targets, parts, encoder and what is known of them.

    A second call with the same data finds the folder. A kill at any moment leaves no half-made one.

    Args:
        source: a folder, a file, a built-in name; or a pair (inputs, targets), a DataFrame, a torch Dataset.
        target: columns of a table to be predicted.
        seed: of the split, >= 0.
        cache: where prepared folders are kept.
        max_side: longest side of a picture in pixels, >= 4; None for the default where pictures are larger or differ.
        progress: is told how it goes on.
        test: the same kind of thing as `source`, for the test part alone.
        validation: the same, for the validation part.
        like: the same pictures prepared for other networks, whose parts are taken: look-alikes may be others at another
            size, and are not searched for again. Pictures of different sizes get a square then, as pretraining does.
    Returns:
        The data, memory-mapped.
    Raises:
        DataError: the data cannot be used as given; TargetError: its targets cannot.
        StoreError: the folder cannot be written.
    """
    if max_side is not None and max_side < 4:
        raise SettingError(f"`max_side >= 4` must hold, but got {max_side}. Allow larger pictures.")
    named = _columns_named(target)
    located = locate(source, target=named, validation=validation, test=test)
    content = located.digest()
    key = digest_of_text(f"format {FORMAT}", content, *named, f"seed {seed}", f"max_side {max_side}")
    if like is not None:
        key = digest_of_text(key, f"like {like.folder.name}")
    cache = Path(cache)
    final = cache / key
    if (final / "data.json").is_file():
        try:
            return open_prepared(final)
        except DataError:
            # Damaged since: it is ours, and is made again.
            shutil.rmtree(final)
    with building(cache, key) as folder, tempfile.TemporaryDirectory(dir=folder) as scratch:
        raw = located.read_with(Path(scratch))
        _fill(
            folder,
            raw,
            source=shown(located.name),
            content=content,
            seed=seed,
            max_side=max_side,
            progress=progress,
            like=like,
        )
    return open_prepared(final)


def _fill(
    folder: Path,
    raw: Raw,
    *,
    source: str,
    content: str,
    seed: int,
    max_side: int | None,
    progress: Progress,
    like: Dataset | None,
) -> None:
    targets = encode_targets(raw.target, classes=raw.classes)
    if isinstance(raw.inputs, pl.DataFrame | Blocks):
        made = assemble_table(folder, raw, raw.inputs, targets, seed=seed)
    else:
        made = assemble_pictures(
            folder, raw, raw.inputs, targets, seed=seed, max_side=max_side, progress=progress, like=like
        )
    parts, kept = made.parts, made.kept
    values = targets.values[made.chosen]
    np.save(folder / "targets.npy", values if targets.task == "classification" else values.astype(np.float32))
    indices: dict[str, NDArray[np.int64]] = {
        part: np.flatnonzero(parts == i).astype(np.int64) for i, part in enumerate(PARTS)
    }
    with (folder / "splits.npz").open("wb") as file:
        np.savez(file, train=indices["train"], validation=indices["validation"], test=indices["test"])
    with (folder / "names.txt").open("w", encoding="utf-8") as text:
        for start in range(0, len(kept), MOST_NAMED):
            text.write("\n" if start else "")
            text.write("\n".join([raw.names[i] for i in kept[start : start + MOST_NAMED].tolist()]))
    (folder / "encoder.json").write_text(to_json(made.encoder, indent=2), "utf-8")
    has_target = np.zeros(len(raw.names), bool)
    has_target[targets.kept] = True
    untargeted = np.flatnonzero(~has_target)
    without = (LeftOut(name=raw.names[int(i)], why="its target is missing") for i in untargeted[:MOST_NAMED])
    left_out = (*raw.left_out, *without, *made.left_out)
    output, counts = _output(targets, values, indices)
    record = DataRecord(
        source=source,
        fingerprint=content,
        task=targets.task,
        input=made.encoder.layout,
        output=output,
        samples=len(kept),
        sizes={part: len(index) for part, index in indices.items()},
        class_counts=counts,
        columns=made.columns,
        left_out=left_out[:MOST_NAMED],
        left_out_count=len(raw.left_out) + len(untargeted) + len(made.left_out),
        duplicates=made.duplicates,
        warnings=(*raw.warnings, *targets.warnings, *made.warnings),
    )
    (folder / "data.json").write_text(to_json(record, indent=2), "utf-8")


def _output(
    targets: Targets, values: NDArray[Any], indices: dict[str, NDArray[np.int64]]
) -> tuple[OutputLayout, dict[str, tuple[int, ...]]]:
    size = len(targets.names)
    if targets.task == "classification":
        counts = {
            part: tuple(int(n) for n in np.bincount(values[index], minlength=size)) for part, index in indices.items()
        }
        return OutputLayout(task="classification", size=size, names=targets.names), counts
    train = values[indices["train"]]
    means, stds = train.mean(0), train.std(0)
    # A target that happens not to vary in the training part is scaled as the whole.
    stds = np.where(stds > 0, stds, values.std(0))
    stds = np.where(stds > 0, stds, 1.0)
    return (
        OutputLayout(
            task="regression",
            size=size,
            names=targets.names,
            means=tuple(float(x) for x in means),
            stds=tuple(float(x) for x in stds),
        ),
        {},
    )
