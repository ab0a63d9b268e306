"""Decorrelating and whitening: all features of a sample together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor, nn

from trainwell.core.errors import DataError, ModelError, SettingError
from trainwell.preprocessing.moments import Batches, Reading, read, require_train, values_of

# A covariance of 8192 features is half a gigabyte, and its eigenvectors take minutes.
MOST_FEATURES = 8192


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Directions in order of falling variance."""

    directions: Float64[Tensor, "features components"]
    variances: Float64[Tensor, " components"]


def principal_axes(covariance: Float64[Tensor, "features features"]) -> PrincipalAxes:
    r"""Eigenvectors of a covariance.

    .. math:: \Sigma = V \Lambda V^\top

    Args:
        covariance: symmetric, positive semi-definite.
    Returns:
        Eigenvalues, largest first and never below 0; eigenvectors as columns, each with its largest entry positive, so
        that the same data give the same signs.
    Example:
        >>> principal_axes(torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))).variances
        tensor([4., 1.], dtype=torch.float64)

    Source: notes, Data Preprocessing; Pearson 1901.
    """
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    peaks = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    return PrincipalAxes(directions=vectors * torch.where(peaks < 0, -1.0, 1.0), variances=values)


def whitening_scale(variances: Float64[Tensor, " components"], *, epsilon: float) -> Float64[Tensor, " components"]:
    r"""What each direction is divided by.

    .. math:: s_i = \sqrt{\lambda_i + \epsilon \lambda_1}

    A direction without variance (below rounding, relative to the largest) is divided by 1, so that epsilon = 0 gives
    no Inf.

    Args:
        variances: eigenvalues, largest first.
        epsilon: relative to the largest eigenvalue, >= 0: how far small directions are held back.
    Returns:
        The scales, > 0.
    Example:
        >>> whitening_scale(torch.tensor([4.0, 0.0], dtype=torch.float64), epsilon=0.0)
        tensor([2., 1.], dtype=torch.float64)
    """
    largest = variances[0]
    lifted = variances + epsilon * largest
    rounding = len(variances) * torch.finfo(torch.float64).eps * largest
    return torch.where(lifted > rounding, lifted, torch.ones_like(lifted)).sqrt()


class Rotation(nn.Module):
    """A fitted Decorrelate or Whiten: call it to apply, `invert` to go back.

    Its matrices are buffers, so they are saved with any model that holds it. They keep the precision they were fitted
    in (float64 for float64 data, else float32), and are applied in it, under autocast too. (The method is not called
    `apply`, since that name is `torch.nn.Module`'s.)
    """

    mean: Tensor
    matrix: Tensor
    inverse: Tensor
    variances: Tensor
    count: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "*sample"],
        matrix: Float[Tensor, "features outputs"],
        inverse: Float[Tensor, "outputs features"],
        variances: Float[Tensor, " components"],
        count: Shaped[Tensor, ""],
        *,
        keeps_shape: bool,
    ) -> None:
        super().__init__()
        self.keeps_shape = keeps_shape
        self.register_buffer("mean", mean)
        self.register_buffer("matrix", matrix)
        self.register_buffer("inverse", inverse)
        self.register_buffer("variances", variances)
        self.register_buffer("count", count)

    def forward(self, inputs: Shaped[Tensor, "batch *sample"]) -> Float[Tensor, "batch *outputs"]:
        """Apply.

        Args:
            inputs: in the shape and layout that was fitted; floats, or uint8 read as fractions of 255.
        Returns:
            (batch, components), or the inputs' shape for ZCA; the inputs' dtype where it is floating, else float32.
        Raises:
            DataError: the samples have another shape.
        """
        self._require(tuple(inputs.shape[1:]), tuple(self.mean.shape))
        work = torch.promote_types(self.mean.dtype, inputs.dtype) if inputs.is_floating_point() else self.mean.dtype
        centred = (values_of(inputs, dtype=work) - self.mean).flatten(1)
        result = _product(centred, self.matrix)
        shaped = result.reshape(inputs.shape) if self.keeps_shape else result
        return shaped.to(inputs.dtype if inputs.is_floating_point() else torch.float32)

    def invert(self, outputs: Float[Tensor, "batch *outputs"]) -> Float[Tensor, "batch *sample"]:
        """Go back from outputs to inputs; with fewer components than features, to the nearest inputs that they
        describe.

        Args:
            outputs: what applying gave.
        Returns:
            The inputs, in the units they were read in (uint8: fractions of 255).
        Raises:
            DataError: the outputs have another shape.
        """
        expected = tuple(self.mean.shape) if self.keeps_shape else (self.inverse.shape[0],)
        self._require(tuple(outputs.shape[1:]), expected)
        work = torch.promote_types(self.mean.dtype, outputs.dtype)
        centred = _product(outputs.to(work).flatten(1), self.inverse)
        return (centred.reshape(len(outputs), *self.mean.shape) + self.mean).to(outputs.dtype)

    def fit(self, _batches: object, *, split: str) -> NoReturn:
        """Refuse: what is fitted stays as it was fitted.

        Raises:
            SettingError: always.
        """
        raise SettingError(
            f"A preprocessing is fitted once, but this one was fitted on {int(self.count)} training samples and "
            "is asked to fit "
            f'split="{split}". Fit the settings again for a new module.'
        )

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"{tuple(self.mean.shape)} -> {self.matrix.shape[1]}, fitted on {int(self.count)}"

    def _require(self, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if got != expected:
            raise DataError(
                f"Samples must have the shape {expected} that was fitted, but got {got}. Bring them to the form "
                "of the training data."
            )


@dataclass(frozen=True, kw_only=True)
class Decorrelate:
    r"""Rotate the centred data onto its principal axes (PCA).

    .. math:: y = V^\top (x - \mu), \qquad \Sigma = V \Lambda V^\top

    Args:
        components: how many axes to keep, the ones of largest variance; None keeps all.
    Raises:
        SettingError: components < 1.
    Example:
        >>> data = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [3.0, 3.0]])
        >>> Decorrelate(components=1).fit(data, split="train").variances
        tensor([5.3333])

    Source: notes, Data Preprocessing (decorrelated data).
    """

    components: int | None = None

    def __post_init__(self) -> None:
        _check(self.components, 0.0, "pca")

    def fit(self, batches: Batches, *, split: str) -> Rotation:
        """One pass over the training split.

        Args:
            batches: one tensor, or an iterable of them; samples of any shape, at most 8192 numbers each.
            split: where the samples come from, in the caller's own words; anything but "train" is refused.
        Returns:
            The fitted module.
        Raises:
            SettingError: split is not "train", or more components than features.
            DataError: no samples, NaN or Inf, shapes that differ, too many features.
        """
        reading, axes = _axes(batches, split=split, components=self.components)
        return _rotation(reading, axes, axes.directions, axes.directions.T, keeps_shape=False)

    def restore(self, tensors: Mapping[str, Tensor]) -> Rotation:
        """The fitted module from its saved state.

        Args:
            tensors: the `state_dict` of a module fitted with these settings.
        Returns:
            The module as it was saved.
        Raises:
            ModelError: tensors are missing or left over.
        """
        return _restore(tensors, keeps_shape=False)


@dataclass(frozen=True, kw_only=True)
class Whiten:
    r"""Decorrelate, then give every direction variance 1.

    .. math:: y = (\Lambda + \epsilon \lambda_1)^{-1/2} V^\top (x - \mu) \ \text{(PCA)}, \quad V y \ \text{(ZCA)}

    Args:
        form: "pca" gives components in order of variance; "zca" rotates back, so that images stay images.
        epsilon: relative to the largest eigenvalue, >= 0. Variance of direction i becomes 1 / (1 + epsilon lambda_1 /
            lambda_i): directions that are mostly noise are not blown up. A direction without any variance stays as it
            is.
        components: how many axes to keep; None keeps all.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> data = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> Whiten(form="zca", epsilon=0.0).fit(data, split="train")(data).var(dim=0, correction=0).round(decimals=4)
        tensor([1., 1.])

    Source: notes, Data Preprocessing (whitened data); ZCA: Bell and Sejnowski 1997, Krizhevsky 2009.
    """

    form: Literal["pca", "zca"] = "pca"
    epsilon: float = 1e-5
    components: int | None = None

    def __post_init__(self) -> None:
        _check(self.components, self.epsilon, self.form)

    def fit(self, batches: Batches, *, split: str) -> Rotation:
        """One pass over the training split.

        Args:
            batches: one tensor, or an iterable of them; samples of any shape, at most 8192 numbers each.
            split: where the samples come from, in the caller's own words; anything but "train" is refused.
        Returns:
            The fitted module.
        Raises:
            SettingError: split is not "train", or more components than features.
            DataError: no samples, NaN or Inf, shapes that differ, too many features.
        """
        reading, axes = _axes(batches, split=split, components=self.components)
        scale = whitening_scale(axes.variances, epsilon=self.epsilon)
        matrix, inverse = axes.directions / scale, (axes.directions * scale).T
        if self.form == "zca":
            matrix, inverse = matrix @ axes.directions.T, axes.directions @ inverse
        return _rotation(reading, axes, matrix, inverse, keeps_shape=self.form == "zca")

    def restore(self, tensors: Mapping[str, Tensor]) -> Rotation:
        """The fitted module from its saved state.

        Args:
            tensors: the `state_dict` of a module fitted with these settings.
        Returns:
            The module as it was saved.
        Raises:
            ModelError: tensors are missing or left over.
        """
        return _restore(tensors, keeps_shape=self.form == "zca")


def _check(components: int | None, epsilon: float, form: str) -> None:
    faults = []
    if components is not None and components < 1:
        faults.append(f"`components >= 1` must hold, but got {components}. Leave it out to keep all.")
    if not (math.isfinite(epsilon) and epsilon >= 0):
        faults.append(
            f"`epsilon >= 0` must hold, but got {epsilon}. Give a small fraction of the largest variance, such as 1e-5."
        )
    if form not in ("pca", "zca"):
        faults.append(f'`form` must be "pca" or "zca", but got "{form}". Choose one of the two.')
    if faults:
        raise SettingError(" ".join(faults))


def _axes(batches: Batches, *, split: str, components: int | None) -> tuple[Reading, PrincipalAxes]:
    require_train(split)

    def rows(samples: Tensor) -> Tensor:
        flat = samples.flatten(1)
        if flat.shape[1] > MOST_FEATURES:
            raise DataError(
                f"Decorrelating takes at most {MOST_FEATURES} features (its matrix grows with their square), but got "
                f"{flat.shape[1]}. Whiten patches with whitening_convolution, or normalize per channel."
            )
        return flat

    reading = read(batches, rows=rows, joint=True, same_shape=True, noun="feature")
    axes = principal_axes(reading.moments.scatter / reading.moments.rows)
    kept = len(axes.variances) if components is None else components
    if kept > len(axes.variances):
        raise SettingError(
            f"`components <= features` must hold, but got {kept} and {len(axes.variances)}. Keep fewer, or "
            "leave it out to keep all."
        )
    return reading, PrincipalAxes(directions=axes.directions[:, :kept], variances=axes.variances[:kept])


def _rotation(reading: Reading, axes: PrincipalAxes, matrix: Tensor, inverse: Tensor, *, keeps_shape: bool) -> Rotation:
    return Rotation(
        reading.moments.mean.reshape(reading.sample_shape).to(reading.precision),
        matrix.to(reading.precision).contiguous(),
        inverse.to(reading.precision).contiguous(),
        axes.variances.to(reading.precision),
        torch.tensor(reading.samples),
        keeps_shape=keeps_shape,
    )


def _restore(tensors: Mapping[str, Tensor], *, keeps_shape: bool) -> Rotation:
    names = ("mean", "matrix", "inverse", "variances", "count")
    if set(tensors) != set(names):
        raise ModelError(
            f"A saved rotation holds {', '.join(names)}, but got {', '.join(sorted(tensors)) or 'nothing'}. "
            "Pass the state of the preprocessing alone, without its prefix in the model."
        )
    return Rotation(*(tensors[name] for name in names), keeps_shape=keeps_shape)


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    # Autocast would round the data to 8 bits before the small directions are blown up.
    with torch.autocast(device_type=rows.device.type, enabled=False):
        return rows @ matrix.to(rows.dtype)
