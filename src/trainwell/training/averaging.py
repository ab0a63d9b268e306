"""An average of the weights along the way, which is often better than any one of them."""

import torch
from torch import Tensor, nn


class Averaging:
    r"""Exponential moving average of parameters and buffers.

    .. math:: \bar\theta_t = \bar\theta_{t-1} + (\theta_t - \bar\theta_{t-1}) / \min(t, h)

    The first h steps are a plain mean, so that the start needs no correction.

    Args:
        model: whose weights are averaged.
        horizon: h, optimizer steps, >= 1.
    Source: Polyak and Juditsky 1992; Izmailov et al. 2018; Morales-Brotons et al. 2024.
    """

    def __init__(self, model: nn.Module, *, horizon: int) -> None:
        self.horizon = horizon
        self.count = 0
        self._live = dict(model.state_dict())
        self.tensors = {name: tensor.clone() for name, tensor in self._live.items()}
        floating = [name for name, tensor in self._live.items() if tensor.is_floating_point()]
        self._live_floats = [self._live[name] for name in floating]
        self._floats = [self.tensors[name] for name in floating]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        self.count += 1
        torch._foreach_lerp_(self._floats, self._live_floats, 1.0 / min(self.count, self.horizon))
        for name, tensor in self._live.items():
            if not tensor.is_floating_point():
                self.tensors[name].copy_(tensor)

    def load(self, tensors: dict[str, Tensor], count: int) -> None:
        """Go on from a saved average."""
        self.count = count
        for name, tensor in tensors.items():
            self.tensors[name].copy_(tensor)
