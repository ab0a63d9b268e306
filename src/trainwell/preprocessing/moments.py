"""One pass over data of any size: count, mean and spread, in float64.

Sums of squares lose every digit where the mean is much larger than the spread (mean 1e8, std 1); deviations from each
chunk's own mean, merged pairwise, do not. What comes out depends on the batch boundaries by rounding only.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor

from trainwell.core.errors import DataError, SettingError

# One tensor, or any number of them, samples first.
Batches = Shaped[Tensor, "..."] | Iterable[Shaped[Tensor, "..."]]

# 32 MB of float64 at a time, whatever the size of the batches.
CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and summed (co-)deviations of some rows."""

    rows: int
    mean: Float64[Tensor, " features"]
    scatter: Float64[Tensor, " features"] | Float64[Tensor, "features features"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What one pass over the training split found."""

    moments: Moments
    samples: int
    sample_shape: tuple[int, ...]
    precision: torch.dtype


def moments(rows: Float64[Tensor, "rows features"], *, joint: bool) -> Moments:
    r"""The moments of one chunk.

    .. math:: \mu = \frac1n \sum_i x_i, \qquad S = \sum_i (x_i - \mu)(x_i - \mu)^\top

    Args:
        rows: at least one row.
        joint: the full matrix S; else its diagonal alone.
    Returns:
        Moments on the processor.
    Example:
        >>> moments(torch.tensor([[1.0], [3.0]], dtype=torch.float64), joint=False).scatter
        tensor([2.], dtype=torch.float64)
    """
    mean = rows.mean(dim=0)
    deviations = rows - mean
    scatter = deviations.T @ deviations if joint else deviations.square().sum(dim=0)
    return Moments(rows=len(rows), mean=mean.cpu(), scatter=scatter.cpu())


def merge(first: Moments, second: Moments) -> Moments:
    r"""The moments of two sets of rows together.

    .. math:: S = S_1 + S_2 + \frac{n_1 n_2}{n_1 + n_2} \delta \delta^\top, \qquad \delta = \mu_2 - \mu_1

    Args:
        first: moments of n1 rows.
        second: moments of n2 rows, over the same features and of the same form.
    Returns:
        Moments of n1 + n2 rows.
    Source: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    """
    count = first.rows + second.rows
    shift = second.mean - first.mean
    between = torch.outer(shift, shift) if first.scatter.ndim == 2 else shift.square()
    return Moments(
        rows=count,
        mean=first.mean + shift * (second.rows / count),
        scatter=first.scatter + second.scatter + between * (first.rows * (second.rows / count)),
    )


def values_of(inputs: Shaped[Tensor, "..."], *, dtype: torch.dtype) -> Float[Tensor, "..."]:
    """Numbers in the units that statistics are kept in: bytes as fractions of 255, all else as it stands.

    So a picture means the same as uint8 and as floats in [0, 1], in fitting and in applying alike.

    Args:
        inputs: any real dtype.
        dtype: the floating dtype wanted.
    Returns:
        The same shape.
    Example:
        >>> values_of(torch.tensor([0, 255], dtype=torch.uint8), dtype=torch.float32)
        tensor([0., 1.])
    """
    values = inputs.to(dtype)
    return values / 255 if inputs.dtype == torch.uint8 else values


def precision_of(dtype: torch.dtype) -> torch.dtype:
    """The precision that statistics of such data are kept in: float64 where float32 would round the data itself."""
    narrow = (torch.uint8, torch.int8, torch.int16, torch.bool, torch.float16, torch.bfloat16, torch.float32)
    return torch.float32 if dtype in narrow else torch.float64


def require_train(split: str) -> None:
    """Refuse to look at anything but the training split.

    Args:
        split: the name of the split that the samples come from.
    Raises:
        SettingError: it is not "train".
    """
    if split != "train":
        raise SettingError(
            f'Preprocessing is fitted on split="train" alone, but got split="{split}": statistics of other '
            "samples would leak into "
            "training. Fit on the training samples, then apply the result to the others."
        )


def read(
    batches: Batches,
    *,
    rows: Callable[[Tensor], Tensor],
    joint: bool,
    same_shape: bool,
    noun: str,
    growth: int = 1,
) -> Reading:
    """The moments of all samples, in one pass and in bounded memory.

    Args:
        batches: one tensor or an iterable of them, samples first.
        rows: samples (float64) to rows of features; a sample may give several rows.
        joint: covariance, not only variances.
        same_shape: samples of all batches must have one shape, not only as many features.
        noun: what a feature is called in messages.
        growth: numbers in the rows for each number in the samples, >= 1.
    Returns:
        The reading.
    Raises:
        DataError: no samples, NaN or Inf, shapes that differ, or numbers too large to square.
    """
    total: Moments | None = None
    samples, precision = 0, torch.float32
    shape: tuple[int, ...] = ()
    for batch in _each(batches):
        if same_shape and samples and tuple(batch.shape[1:]) != shape:
            raise DataError(
                f"All samples must have one shape, but sample {samples} has {tuple(batch.shape[1:])} after {shape}. "
                "Bring them to one size first."
            )
        shape = tuple(batch.shape[1:])
        precision = torch.promote_types(precision, precision_of(batch.dtype))
        for chunk in torch.split(batch, max(1, CHUNK_ELEMENTS // max(1, math.prod(shape) * growth))):
            # Apple's GPUs have no float64.
            here = chunk.detach().cpu() if chunk.device.type == "mps" else chunk.detach()
            table = rows(values_of(here, dtype=torch.float64))
            if total is not None and table.shape[1] != len(total.mean):
                raise DataError(
                    f"All batches must have the same number of {noun}s, but got {table.shape[1]} after "
                    f"{len(total.mean)}. "
                    "Check that the channel axis is the right one and that all batches come from one data set."
                )
            _require_finite(table, noun=noun, first_sample=samples, rows_per_sample=table.shape[0] // len(chunk))
            found = moments(table, joint=joint)
            total = found if total is None else merge(total, found)
            samples += len(chunk)
    if total is None:
        raise DataError(
            "Preprocessing needs at least one sample, but got none. Check that the batches are not used up or empty."
        )
    if not bool(torch.isfinite(total.scatter).all()):
        raise DataError(
            "The squares of the data must be finite, but they overflow float64. Rescale the columns, or take "
            "their logarithm."
        )
    return Reading(moments=total, samples=samples, sample_shape=shape, precision=precision)


def _each(batches: Batches) -> Iterator[Tensor]:
    for batch in [batches] if isinstance(batches, Tensor) else batches:
        if not isinstance(batch, Tensor) or batch.ndim < 2 or batch.dtype.is_complex:
            given = f"{tuple(batch.shape)} {batch.dtype}" if isinstance(batch, Tensor) else type(batch).__name__
            raise DataError(
                "A batch must be one real tensor with samples along its first axis and at least one more axis, "
                f"but got {given}. "
                "From a loader of pairs pass (x for x, _ in loader); give a single column as x[:, None]."
            )
        if batch.numel():
            yield batch


def _require_finite(table: Tensor, *, noun: str, first_sample: int, rows_per_sample: int) -> None:
    bad = ~torch.isfinite(table)
    if not bool(bad.any()):
        return
    columns = bad.any(dim=0).nonzero().flatten().tolist()
    row = int(bad.any(dim=1).nonzero()[0])
    sample = first_sample + row // rows_per_sample
    named = ", ".join(str(column) for column in columns[:5]) + (", ..." if len(columns) > 5 else "")
    raise DataError(
        f"Preprocessing is fitted on finite numbers, but {noun} {named} holds NaN or Inf (first in sample {sample}). "
        "Fill or leave out these values first."
    )
