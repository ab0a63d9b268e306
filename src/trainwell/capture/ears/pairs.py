"""Linear layers that stand one directly behind the other, in the first steps."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.maps import MAP, PRODUCTS, is_linear, is_straight, linear_pairs, map_of, map_of_product
from trainwell.core.records.seen.networks import LinearPair

HEARD = 4
"""Steps: of a GAN, each network takes one of them."""


class Pairs(Ear):
    """Fills `linear_pairs` and `linear`."""

    functions = PRODUCTS

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.pairs: dict[tuple[str | None, str | None], LinearPair] = {}
        self.linear = False
        self.straight: set[int] = set()

    def passed(self, call: Passed) -> None:
        if self.scene.taken >= HEARD or not call.with_gradients or not isinstance(call.outputs, Tensor):
            return
        node: Any = call.outputs.grad_fn
        if call.outermost and node is not None and is_straight(node):
            self.straight.add(self.scene.networks.get(id(call.network), -1))
        name = self.scene.names.get(id(call.module))
        if node is None or name is None or not call.inputs or not isinstance(call.inputs[0], Tensor):
            return
        network = self.scene.networks.get(id(call.network), -1)
        found = map_of(call.module, name=name, network=network, shape=tuple(call.inputs[0].shape))
        if found is not None:
            node.metadata[MAP] = found

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if self.scene.taken >= HEARD or not self.scene.inside or len(args) < 2 or found.grad_fn is None:
            return
        weights = {id(each): name for name, each in self.scene.inside[0].named_parameters()}
        if id(args[1]) in weights:
            made = map_of_product(args[0], args[1], name=weights[id(args[1])], network=self.scene.network)
            if made is not None:
                found.grad_fn.metadata[MAP] = made

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        if self.scene.taken >= HEARD:
            return
        for root in roots:
            found = list(linear_pairs(root.grad_fn))
            self.linear |= bool(found) and is_linear(root.grad_fn)
            for each in found:
                each = replace(each, whole=each.network in self.straight)
                self.pairs.setdefault((each.first.layer, each.second.layer), each)

    def seen(self) -> dict[str, Any]:
        return {"linear_pairs": tuple(self.pairs.values()), "linear": self.linear}
