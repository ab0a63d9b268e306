"""Zero-centring and normalizing: each feature, channel or pixel on its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trainwell.core.errors import DataError, ModelError, SettingError
from trainwell.preprocessing.moments import Batches, Reading, read, require_train, values_of

Per = Literal["feature", "channel", "pixel"]

# Equal numbers have a computed std of some units in the last place of their mean; real spread this small is beyond
# float64.
CONSTANT = 1e-12


def standardize(
    values: Float[Tensor, "batch *sample"], *, mean: Float[Tensor, "..."], std: Float[Tensor, "..."]
) -> Float[Tensor, "batch *sample"]:
    r"""Centre and scale.

    .. math:: y = (x - \mu) / \sigma

    Args:
        values: the data.
        mean: broadcastable to the data, in its units.
        std: broadcastable to the data, in its units, > 0.
    Returns:
        The same shape, dimensionless.
    Example:
        >>> standardize(torch.tensor([[3.0]]), mean=torch.tensor([1.0]), std=torch.tensor([2.0]))
        tensor([[1.]])

    Source: notes, Data Preprocessing.
    """
    return (values - mean) / std


def unstandardize(
    values: Float[Tensor, "batch *sample"], *, mean: Float[Tensor, "..."], std: Float[Tensor, "..."]
) -> Float[Tensor, "batch *sample"]:
    r"""The inverse of `standardize`.

    .. math:: x = y \sigma + \mu

    Args:
        values: dimensionless.
        mean: as given to `standardize`.
        std: as given to `standardize`.
    Returns:
        The same shape, in the data's units.
    Example:
        >>> unstandardize(torch.tensor([[1.0]]), mean=torch.tensor([1.0]), std=torch.tensor([2.0]))
        tensor([[3.]])
    """
    return values * std + mean


class Scaling(nn.Module):
    """A fitted ZeroCentre or Normalize: call it to apply, `invert` to go back.

    Its statistics are buffers, so they are saved with any model that holds it. They keep the precision they were
    fitted in (float64 for float64 data, else float32). Part of a model that is cast to half precision, it is cast too:
    keep it outside, or use autocast. (The method is not called `apply`, since that name is `torch.nn.Module`'s.)
    """

    mean: Tensor
    std: Tensor
    count: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "*kept"],
        std: Float[Tensor, "*kept"],
        count: Shaped[Tensor, ""],
        *,
        per: Per,
        channel_axis: int | None,
    ) -> None:
        super().__init__()
        self.per = per
        self.channel_axis = channel_axis
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("count", count)

    def forward(
        self, inputs: Shaped[Tensor, "batch *sample"], *, channel_axis: int | None = None
    ) -> Float[Tensor, "batch *sample"]:
        """Apply.

        Args:
            inputs: floats, or uint8 read as fractions of 255.
            channel_axis: the inputs' channel axis, where it is not the one that was fitted (fitted on NHWC, applied to
                NCHW).
        Returns:
            The same shape and memory format; the inputs' dtype where it is floating, else float32.
        Raises:
            DataError: the features are not those that were fitted.
        """
        mean, std = self._fitting(inputs, channel_axis)
        work = torch.promote_types(mean.dtype, inputs.dtype) if inputs.is_floating_point() else mean.dtype
        result = standardize(values_of(inputs, dtype=work), mean=mean, std=std)
        return result.to(inputs.dtype if inputs.is_floating_point() else torch.float32)

    def invert(
        self, outputs: Float[Tensor, "batch *sample"], *, channel_axis: int | None = None
    ) -> Float[Tensor, "batch *sample"]:
        """Go back from outputs to inputs.

        Args:
            outputs: what applying gave.
            channel_axis: as in applying.
        Returns:
            The inputs, in the units they were read in (uint8: fractions of 255).
        Raises:
            DataError: the features are not those that were fitted.
        """
        mean, std = self._fitting(outputs, channel_axis)
        work = outputs.to(torch.promote_types(mean.dtype, outputs.dtype))
        return unstandardize(work, mean=mean, std=std).to(outputs.dtype)

    def fit(self, _batches: object, *, split: str) -> NoReturn:
        """Refuse: what is fitted stays as it was fitted.

        Raises:
            SettingError: always.
        """
        raise _fitted_already(split, int(self.count))

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        layout = f"per={self.per!r}, channel_axis={self.channel_axis}"
        return f"{layout}, shape={tuple(self.mean.shape)}, fitted on {int(self.count)}"

    def _fitting(self, inputs: Tensor, channel_axis: int | None) -> tuple[Tensor, Tensor]:
        axis = self.channel_axis if channel_axis is None else channel_axis
        mean, std = self.mean, self.std
        if self.per == "pixel":
            if axis is not None and self.channel_axis is not None and mean.ndim + 1 == inputs.ndim:
                old, new = self.channel_axis % inputs.ndim - 1, axis % inputs.ndim - 1
                mean, std = mean.movedim(old, new), std.movedim(old, new)
            expected, got = tuple(mean.shape), tuple(inputs.shape[1:])
        else:
            axis = 1 if axis is None else axis
            if not -inputs.ndim < axis < inputs.ndim:
                raise DataError(
                    f"The channel axis must be one of {inputs.ndim} axes, but is {axis}. Give channel_axis."
                )
            view = [1] * inputs.ndim
            view[axis] = -1
            expected, got = tuple(mean.shape), (inputs.shape[axis],)
            mean, std = mean.reshape(view), std.reshape(view)
        if expected != got:
            raise DataError(
                f"This preprocessing was fitted on {expected} {self.per}s, but got {got} in inputs of shape "
                f"{tuple(inputs.shape)}. "
                "Bring the inputs to the form of the training data, or give channel_axis."
            )
        return mean, std


@dataclass(frozen=True, kw_only=True)
class ZeroCentre:
    r"""Subtract the training split's mean.

    .. math:: y = x - \mu

    Args:
        per: "feature" (a table's columns), "channel" (the mean over samples and places) or "pixel" (the mean image).
        channel_axis: of images: 1 for NCHW, -1 for NHWC. Needed for "channel"; for "pixel" it lets the result be
            applied to another layout.
    Raises:
        SettingError: the two do not go together.
    Example:
        >>> fitted = ZeroCentre().fit(torch.tensor([[1.0], [3.0]]), split="train")
        >>> fitted(torch.tensor([[4.0]]))
        tensor([[2.]])

    Source: notes, Data Preprocessing; the mean image: Krizhevsky et al. 2012; the mean of channels: Simonyan and
        Zisserman 2015.
    """

    per: Per = "feature"
    channel_axis: int | None = None

    def __post_init__(self) -> None:
        _check(self.per, self.channel_axis)

    def fit(self, batches: Batches, *, split: str) -> Scaling:
        """One pass over the training split.

        Args:
            batches: one tensor, or an iterable of them.
            split: where the samples come from, in the caller's own words; anything but "train" is refused.
        Returns:
            The fitted module.
        Raises:
            SettingError: split is not "train".
            DataError: no samples, NaN or Inf, shapes that differ.
        """
        reading = _read(batches, split=split, per=self.per, channel_axis=self.channel_axis)
        return _scaling(reading, torch.ones_like(reading.moments.mean), per=self.per, channel_axis=self.channel_axis)

    def restore(self, tensors: Mapping[str, Tensor]) -> Scaling:
        """The fitted module from its saved state.

        Args:
            tensors: mean, std, count: the `state_dict` of a module fitted with these settings.
        Returns:
            The module as it was saved.
        Raises:
            ModelError: tensors are missing or left over.
        """
        return _restore(tensors, per=self.per, channel_axis=self.channel_axis)


@dataclass(frozen=True, kw_only=True)
class Normalize:
    r"""Subtract the training split's mean, divide by its standard deviation.

    .. math:: y = (x - \mu) / \sigma, \qquad \sigma^2 = \frac1n \sum_i (x_i - \mu)^2

    A constant feature (sigma at most 1e-12 of its mean) is divided by 1: it becomes 0, not Inf, and a new value at
    prediction is not blown up.

    Args:
        per: "feature" (a table's columns), "channel" (over samples and places) or "pixel" (each place of the image on
            its own).
        channel_axis: of images: 1 for NCHW, -1 for NHWC. Needed for "channel"; for "pixel" it lets the result be
            applied to another layout.
    Raises:
        SettingError: the two do not go together.
    Example:
        >>> fitted = Normalize().fit([torch.tensor([[1.0]]), torch.tensor([[3.0]])], split="train")
        >>> fitted(torch.tensor([[4.0]]))
        tensor([[2.]])

    Source: notes, Data Preprocessing; per channel as in He et al. 2016.
    """

    per: Per = "feature"
    channel_axis: int | None = None

    def __post_init__(self) -> None:
        _check(self.per, self.channel_axis)

    def fit(self, batches: Batches, *, split: str) -> Scaling:
        """One pass over the training split.

        Args:
            batches: one tensor, or an iterable of them.
            split: where the samples come from, in the caller's own words; anything but "train" is refused.
        Returns:
            The fitted module.
        Raises:
            SettingError: split is not "train".
            DataError: no samples, NaN or Inf, shapes that differ.
        """
        reading = _read(batches, split=split, per=self.per, channel_axis=self.channel_axis)
        found = reading.moments
        std = (found.scatter / found.rows).sqrt()
        std = torch.where(std > CONSTANT * found.mean.abs(), std, torch.ones_like(std))
        return _scaling(reading, std, per=self.per, channel_axis=self.channel_axis)

    def restore(self, tensors: Mapping[str, Tensor]) -> Scaling:
        """The fitted module from its saved state.

        Args:
            tensors: mean, std, count: the `state_dict` of a module fitted with these settings.
        Returns:
            The module as it was saved.
        Raises:
            ModelError: tensors are missing or left over.
        """
        return _restore(tensors, per=self.per, channel_axis=self.channel_axis)


def _fitted_already(split: str, count: int) -> SettingError:
    return SettingError(
        f"A preprocessing is fitted once, but this one was fitted on {count} training samples and is asked to "
        f'fit split="{split}". '
        "Fit the settings again for a new module."
    )


def _check(per: str, channel_axis: int | None) -> None:
    faults = []
    if per not in ("feature", "channel", "pixel"):
        faults.append(f'`per` must be "feature", "channel" or "pixel", but got "{per}". Choose one of the three.')
    if per == "channel" and channel_axis is None:
        faults.append('per="channel" needs a `channel_axis`, but got None. Give 1 for NCHW, -1 for NHWC.')
    if per == "feature" and channel_axis is not None:
        faults.append(
            f'per="feature" has no `channel_axis`, but got {channel_axis}. Leave it out, or say per="channel".'
        )
    if channel_axis == 0:
        faults.append("`channel_axis` must not be 0, the axis of the samples, but got 0. Give 1 for NCHW, -1 for NHWC.")
    if faults:
        raise SettingError(" ".join(faults))


def _read(batches: Batches, *, split: str, per: Per, channel_axis: int | None) -> Reading:
    require_train(split)

    def rows(samples: Tensor) -> Tensor:
        if per == "feature" and samples.ndim != 2:
            raise DataError(
                f'per="feature" reads tables of two axes, but got shape {tuple(samples.shape)}. Say '
                'per="channel" or per="pixel" '
                "for images."
            )
        if per != "channel":
            return samples.flatten(1)
        assert channel_axis is not None
        if not -samples.ndim < channel_axis < samples.ndim:
            raise DataError(
                f"The channel axis must be one of {samples.ndim} axes other than the first, but is "
                f"{channel_axis}. Give another."
            )
        moved = samples.movedim(channel_axis, -1)
        return moved.reshape(-1, moved.shape[-1])

    return read(batches, rows=rows, joint=False, same_shape=per == "pixel", noun=per)


def _scaling(reading: Reading, std: Tensor, *, per: Per, channel_axis: int | None) -> Scaling:
    shape = reading.sample_shape if per == "pixel" else reading.moments.mean.shape
    return Scaling(
        reading.moments.mean.to(reading.precision).reshape(shape),
        std.to(reading.precision).reshape(shape),
        torch.tensor(reading.samples),
        per=per,
        channel_axis=channel_axis,
    )


def _restore(tensors: Mapping[str, Tensor], *, per: Per, channel_axis: int | None) -> Scaling:
    if set(tensors) != {"mean", "std", "count"}:
        raise ModelError(
            f"A saved scaling holds mean, std and count, but got {', '.join(sorted(tensors)) or 'nothing'}. "
            "Pass the state of the preprocessing alone, without its prefix in the model."
        )
    return Scaling(tensors["mean"], tensors["std"], tensors["count"], per=per, channel_axis=channel_axis)
