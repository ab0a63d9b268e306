"""Label smoothing: targets that are not quite certain."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from trainwell.core.errors import SettingError, TargetError


def one_hot_targets(targets: Int[Tensor, " batch"], *, classes: int) -> Float[Tensor, "batch classes"]:
    """Class indices as rows of 0 and 1, the form that `torch.nn.CrossEntropyLoss` takes as probabilities.

    Args:
        targets: class indices, 0 to classes - 1.
        classes: how many there are, >= 1.
    Returns:
        float32.
    Raises:
        SettingError: classes < 1.
        TargetError: an index is outside its range.
    Example:
        >>> import torch
        >>> one_hot_targets(torch.tensor([1]), classes=3)
        tensor([[0., 1., 0.]])
    """
    if classes < 1:
        raise SettingError(f"`classes >= 1` must hold, but got {classes}. Count the classes of the training split.")
    if targets.numel() and not (int(targets.min()) >= 0 and int(targets.max()) < classes):
        raise TargetError(
            f"Class indices must be 0 to {classes - 1}, but got {int(targets.min())} to {int(targets.max())}. "
            "Number the classes from 0, or give the right number of classes."
        )
    return one_hot(targets.long(), classes).float()


def smooth_labels(targets: Float[Tensor, "batch classes"], *, smoothing: float) -> Float[Tensor, "batch classes"]:
    r"""Move a part of every target's mass to all classes alike.

    .. math:: t' = (1 - s) t + s / C

    Cross-entropy with these targets is `torch.nn.CrossEntropyLoss(label_smoothing=s)`.

    Args:
        targets: probabilities, such as `one_hot_targets` or the result of mixup.
        smoothing: s, 0 to 1; 0.1 is usual.
    Returns:
        Probabilities.
    Raises:
        SettingError: smoothing is outside its range.
    Example:
        >>> import torch
        >>> smooth_labels(torch.tensor([[0.0, 1.0]]), smoothing=0.2)
        tensor([[0.1000, 0.9000]])

    Source: Szegedy et al. 2016, section 7.
    """
    if not 0 <= smoothing <= 1:
        raise SettingError(f"`0 <= smoothing <= 1` must hold, but got {smoothing}. 0.1 is usual.")
    return targets * (1 - smoothing) + smoothing / targets.shape[1]
