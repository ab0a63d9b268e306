"""Data preprocessing: settings are frozen dataclasses; one pass over the training split fits them; a small module
results.

>>> import torch
>>> batches = [torch.rand(8, 3, 4, 4), torch.rand(5, 3, 4, 4)]
>>> preprocessing = Normalize(per="channel", channel_axis=1).fit(batches, split="train")
>>> model = torch.nn.Sequential(preprocessing, torch.nn.Flatten(), torch.nn.Linear(48, 10))
>>> sorted(name for name in model.state_dict() if name.startswith("0."))
['0.count', '0.mean', '0.std']

Nothing but `split="train"` can be fitted, and nothing can be fitted twice. Fitted modules are saved with the model
that holds them; `SETTINGS.restore(tensors)` makes one again from its tensors alone.
"""

from trainwell.preprocessing.moments import values_of
from trainwell.preprocessing.patches import WhiteningConvolution, whitening_convolution
from trainwell.preprocessing.rotation import Decorrelate, Rotation, Whiten, principal_axes, whitening_scale
from trainwell.preprocessing.scaling import Normalize, Scaling, ZeroCentre, standardize, unstandardize

__all__ = [
    "PREPROCESSORS",
    "Decorrelate",
    "Normalize",
    "Rotation",
    "Scaling",
    "Whiten",
    "WhiteningConvolution",
    "ZeroCentre",
    "principal_axes",
    "standardize",
    "unstandardize",
    "values_of",
    "whitening_convolution",
    "whitening_scale",
]

PREPROCESSORS: dict[str, type[ZeroCentre | Normalize | Decorrelate | Whiten]] = {
    "zero_centre": ZeroCentre,
    "normalize": Normalize,
    "decorrelate": Decorrelate,
    "whiten": Whiten,
}
