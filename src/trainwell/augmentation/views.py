"""Test-time averaging: several views of each image, and the mean of the model's predictions for them.

"Training adds randomness, testing averages it out": for augmentations, the average lowers the prediction's variance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from trainwell.augmentation.crop import Edge, cut_windows
from trainwell.augmentation.pixels import Cropped, Images, like, refuse


@dataclass(frozen=True, kw_only=True)
class Views:
    """Which views are averaged.

    Args:
        flip: each view and its mirror image.
        crops: windows of the padded image: 1 (its centre), 5 (and its corners) or 9 (a grid of three by three).
        padding: pixels added on each side before windows are cut, >= 0; with size None, the windows' shift in pixels.
        size: height and width of the windows; None: those of the images.
        edge: what the padding holds, "reflect" or "zeros".
    Raises:
        SettingError: crops, padding, size or edge outside its range.
    Example:
        >>> Views(crops=5, padding=1).count
        10
    """

    flip: bool = True
    crops: int = 1
    padding: int = 0
    size: tuple[int, int] | None = None
    edge: Edge = "reflect"

    def __post_init__(self) -> None:
        problems = []
        if self.crops not in _PLACES:
            problems.append(f"`crops` must be 1, 5 or 9, but got {self.crops}. Choose one of them.")
        if self.padding < 0:
            problems.append(f"`padding >= 0` must hold, but got {self.padding}. Count pixels.")
        if self.size is not None and min(self.size) < 1:
            problems.append(f"`size >= (1, 1)` must hold, but got {self.size}. Give height and width in pixels.")
        if self.edge not in ("reflect", "zeros"):
            problems.append(f'`edge` must be "reflect" or "zeros", but got "{self.edge}". Choose one of them.')
        refuse(problems)

    @property
    def count(self) -> int:
        """How many views there are of an image."""
        return self.crops * (2 if self.flip else 1)

    def __call__(self, images: Images) -> Iterator[Cropped]:
        """The views one after the other, so that memory holds one at a time."""
        height, width = images.shape[2:]
        size = self.size or (height, width)
        spare = (height + 2 * self.padding - size[0], width + 2 * self.padding - size[1])
        if min(spare) < 0:
            refuse(
                [
                    f"`size <= height and width + 2 * padding` must hold, but got {size} and images of "
                    f"{height} x {width} with padding {self.padding}. Cut smaller windows or pad more."
                ]
            )
        for down, right in _PLACES[self.crops]:
            top, left = (
                torch.full((images.shape[0],), gap * halves // 2 - self.padding, device=images.device)
                for gap, halves in zip(spare, (down, right))
            )
            view = cut_windows(images, top=top, left=left, size=size, edge=self.edge)
            yield view
            if self.flip:
                yield like(view.flip(3), images)


def views_of(
    images: Images, *, views: Views
) -> (
    UInt8[Tensor, "views batch channels new_height new_width"]
    | Float[Tensor, "views batch channels new_height new_width"]
):
    """All views of a batch at once, where `average_predictions` takes them one by one.

    Args:
        images: the batch.
        views: which.
    Returns:
        The views; the first is the image itself, or its centre.
    Raises:
        SettingError: windows larger than the padded images.
    Example:
        >>> row = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
        >>> views_of(row, views=Views()).flatten(1).tolist()
        [[1, 2, 3], [3, 2, 1]]

    Source: notes, Regularization, Common Pattern; ten crops: Krizhevsky et al. 2012, section 4.1.
    """
    return torch.stack(list(views(images)))


def average_predictions(
    predict: Callable[[Tensor], Tensor], images: Images, *, views: Views
) -> Float[Tensor, "batch ..."]:
    r"""The mean of a model's predictions over views of each image.

    .. math:: \bar f(x) = \frac{1}{V} \sum_{v=1}^{V} f(\text{view}_v(x))

    Args:
        predict: batch -> predictions, in evaluation mode; logits and probabilities both average.
        images: the batch.
        views: which.
    Returns:
        The mean prediction, shaped as one of them.
    Raises:
        SettingError: windows larger than the padded images.
    Example:
        >>> row = torch.tensor([[[[0.0, 2.0]]]])
        >>> average_predictions(lambda images: images[:, 0, 0, :1], row, views=Views()).tolist()
        [[1.0]]

    Source: notes, Regularization, Common Pattern ("Testing: Average out randomness").
    """
    total: Tensor | float = 0.0
    for view in views(images):
        total = total + predict(view)
    assert isinstance(total, Tensor), "there is always a first view"
    return total / views.count


_PLACES = {
    1: ((1, 1),),
    5: ((1, 1), (0, 0), (0, 2), (2, 0), (2, 2)),
    9: ((1, 1), (0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)),
}
"""Crops -> where their windows lie: 0 at the top or left end, 1 in the middle, 2 at the bottom or right end."""
