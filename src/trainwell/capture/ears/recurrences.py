"""Recurrent layers before the first step: by how much their weights make longer what they carry from step to step."""

import math
from typing import Any

import torch
from torch import nn

from trainwell.capture.ear import Ear, Scene
from trainwell.core.records.seen.networks import RecurrenceSeen


class Recurrences(Ear):
    """Fills `recurrences`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.layers: dict[int, RecurrenceSeen] = {}

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if not isinstance(module, nn.RNNBase | nn.RNNCellBase) or id(module) in self.layers or self.scene.taken:
            return
        gains = [_gain(weight) for name, weight in module.named_parameters() if "weight_hh" in name]
        if gains:
            name = self.scene.names.get(id(module)) or ""
            self.layers[id(module)] = RecurrenceSeen(name=name, gain=max(gains), width=module.hidden_size)

    def seen(self) -> dict[str, Any]:
        return {"recurrences": tuple(self.layers.values())}


def _gain(weight: torch.Tensor) -> float:
    """The largest of its gates' Frobenius norms over sqrt(h): of an orthogonal matrix, 1."""
    width = weight.shape[1]
    gates = weight.detach().float().split(width)
    return max(float(torch.linalg.vector_norm(gate)) / math.sqrt(width) for gate in gates)
