"""Modules with weights of their own: does a gradient come, and does an optimizer have them?"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_dense
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.networks import CutSeen, LayerSeen, StoppedSeen
from trainwell.core.records.seen.updates import OptimizerSeen

WITHOUT_GRAPH = ("detach", "detach_", "argmax")
"""Functions whose result knows nothing of what it was made from."""
WITHOUT_SLOPE = ("round", "floor", "ceil", "trunc", "sign", "heaviside")
"""Functions whose slope is 0 everywhere."""
READING = ("__getitem__", "index_select", "embedding", "linear", "matmul", "__matmul__", "mm", "bmm")
"""Functions by which a network uses weights of its own."""
MOST_NODES = 1000
"""Of a graph that is cut, that are looked at."""
HEARD = 2
"""Optimizer steps in which lines are noted at which no gradient goes through."""


class Layers(Ear):
    """Fills `layers`, `cuts`, `stopped` and `optimizers`."""

    functions = frozenset({*WITHOUT_GRAPH, *WITHOUT_SLOPE, *READING})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.layers: dict[int, _Layer] = {}
        self.cuts: dict[Where, CutSeen] = {}
        self.stopped: dict[int, tuple[Tensor, str, str, Where]] = {}
        self.moved: set[int] = set()
        self._stopping: set[tuple[Where, int]] = set()
        self.optimizers: dict[int, _Given] = {}
        self.read: dict[int, _Layer] = {}
        self._stored: dict[int, dict[int, list[tuple[str, Tensor]]]] = {}
        self._open = False
        self._searched: set[int] = set()

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) == 1:
            self._open = self.scene.wants_gradients
        known = self.layers.get(id(module))
        if known is not None:
            known.quiet = known.quiet and not self.scene.wants_gradients
            known.apart = known.apart and known.quiet
            return
        # What is called without gradients as a whole is measured by it, or collects what is learnt from.
        apart = not (self.scene.wants_gradients or self._open)
        if apart and not (self.scene.inside[0].training and self.scene.taken):
            return
        name, network = self.scene.names.get(id(module)), self.scene.network
        own = [each for each in module._parameters.values() if each is not None]
        if own:
            quiet = not self.scene.wants_gradients
            self.layers[id(module)] = _Layer(module, own, name=name, network=network, quiet=quiet, apart=apart)
        if self.scene.wants_gradients and id(module) not in self._searched:
            self._searched.add(id(module))
            for key, held in _loose(module, self.scene.inside[0]).items():
                # By itself: an optimizer may have the module's own weights and not these.
                dotted = f"{name}.{key}" if name else key
                self.layers[id(held[0])] = _Layer(module, held, name=dotted, network=network, loose=True)

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if self.scene.taken >= HEARD or not self.scene.wants_gradients or not args or not isinstance(args[0], Tensor):
            return
        if name in READING:
            self._read(args)
            return
        if args[0].grad_fn is not None and args[0].is_floating_point() and args[0].ndim:
            where = user_line()
            if self.scene.inside and (where, id(self.scene.innermost)) not in self._stopping:
                self._stopping.add((where, id(self.scene.innermost)))
                self._stop(args[0].grad_fn, name.strip("_"), where)
            self.cuts.setdefault(where, CutSeen(function=name.strip("_"), place=len(self.layers), where=where))

    def _stop(self, node: Any, function: str, where: Where) -> None:
        """Note the weights that something was computed with, of which no gradient is wanted."""
        names: dict[int, str] = {}
        level, seen = [node], {node}
        while level and len(seen) < MOST_NODES:
            below = [each for each, _ in level.pop().next_functions if each is not None and each not in seen]
            seen.update(below)
            level.extend(below)
            for each in below:
                weight = getattr(each, "variable", None)
                if weight is not None:
                    names = names or {id(own): name for name, own in self.scene.inside[0].named_parameters()}
                    self.stopped.setdefault(id(weight), (weight, names.get(id(weight), ""), function, where))

    def _read(self, args: tuple[Any, ...]) -> None:
        """Numbers of a parameter that come by another tensor, which wants no gradients."""
        if not self.scene.inside:
            return
        for each in args[:2]:
            if not isinstance(each, Tensor) or each.requires_grad or not each.ndim or not is_dense(each):
                continue
            for name, weight in self._weights(self.scene.inside[0]).get(each.data_ptr(), ()):
                if weight.requires_grad and id(weight) not in self.read:
                    self.read[id(weight)] = _Layer(
                        None, [weight], name=name, network=self.scene.network, quiet=True, apart=True
                    )

    def _weights(self, network: nn.Module) -> dict[int, list[tuple[str, Tensor]]]:
        """Where a network's parameters are stored -> the names of their layers, and they themselves."""
        found = self._stored.get(id(network))
        if found is None:
            found = self._stored[id(network)] = {}
            for name, each in network.named_parameters():
                if is_dense(each) and each.numel():
                    found.setdefault(each.data_ptr(), []).append((name.rpartition(".")[0], each))
        return found

    def stepping(self, optimizer: Optimizer) -> None:
        first = self.scene.taken == 0
        self.moved |= {key for key, (weight, *_) in self.stopped.items() if weight.grad is not None}
        for layer in (*self.layers.values(), *self.read.values()):
            layer.look()
            if first and layer.quiet:
                layer.compare(self.layers.values())
        self.optimizers.setdefault(id(optimizer), _Given(optimizer, where=user_line())).look()

    def seen(self) -> dict[str, Any]:
        given = {id(each) for each in self.scene.parameters()}
        return {
            "layers": tuple(
                each.seen(given) for each in (*self.layers.values(), *self.read.values()) if not each.is_meant()
            ),
            "cuts": tuple(self.cuts.values()),
            "stopped": tuple(
                StoppedSeen(name=name, weights=weight.numel(), function=function, where=where)
                for key, (weight, name, function, where) in self.stopped.items()
                if key in given and key not in self.moved and name and weight.grad is None
            ),
            "optimizers": tuple(each.seen() for each in self.optimizers.values()),
        }


class _Layer:
    """A module with weights, and whether they learn."""

    def __init__(
        self,
        module: nn.Module | None,
        own: Sequence[Tensor],
        *,
        name: str | None,
        network: int,
        quiet: bool = False,
        apart: bool = False,
        loose: bool = False,
    ) -> None:
        self.module, self.own, self.name, self.network = module, own, name, network
        self.quiet, self.apart, self.loose, self.where = quiet, apart, loose, user_line()
        self.reached = self.sloped = self.copied = False
        self.before = [each.detach().clone() for each in own] if quiet or loose else []

    def look(self) -> None:
        """Before a step: has a gradient come, and was it any but 0?"""
        if self.sloped:
            return
        gradients = [each.grad for each in self.own if each.grad is not None]
        self.reached = self.reached or bool(gradients)
        self.sloped = any(each.is_sparse or bool(each.any()) for each in gradients)

    def compare(self, others: "Iterable[_Layer]") -> None:
        """Are these the weights of another layer, as those of a target network are?"""
        mine = max(self.own, key=Tensor.numel)
        self.copied = any(
            other.shape == mine.shape and other is not mine and torch.equal(other, mine)
            for layer in others
            for other in layer.own
        )

    def seen(self, given: set[int]) -> LayerSeen:
        """What became of it."""
        return LayerSeen(
            name=self.name or "",
            kind="tensor" if self.loose else "data" if self.module is None else type(self.module).__name__,
            weights=sum(each.numel() for each in self.own),
            network=self.network,
            registered=self.name is not None and not self.loose,
            given=any(id(each) in given for each in self.own),
            trainable=any(each.requires_grad for each in self.own),
            reached=self.reached,
            sloped=self.sloped,
            quiet=self.quiet,
            apart=self.apart,
            where=self.where,
        )

    def is_meant(self) -> bool:
        """Whether it learns by no gradient on purpose: it follows another layer, or the script moves it by hand."""
        moved = any(not torch.equal(each, now) for each, now in zip(self.before, self.own, strict=False))
        return (self.quiet or self.loose) and (self.copied or moved)


class _Given:
    """What an optimizer has, and which of it had a gradient."""

    def __init__(self, optimizer: Optimizer, *, where: Where) -> None:
        self.optimizer, self.where = optimizer, where
        self.steps = 0
        self.reached: set[int] = set()

    def look(self) -> None:
        """Before a step; of a closure, after the step before."""
        self.steps += 1
        self.reached |= {id(each) for each in self._parameters() if each.grad is not None}

    def seen(self) -> OptimizerSeen:
        """Also of what the last step was given."""
        self.reached |= {id(each) for each in self._parameters() if each.grad is not None}
        return OptimizerSeen(
            steps=self.steps,
            parameters=len(self._parameters()),
            reached=len(self.reached),
            maximizes=all(group.get("maximize", False) for group in self.optimizer.param_groups),
            where=self.where,
        )

    def _parameters(self) -> list[Tensor]:
        return [each for group in self.optimizer.param_groups for each in group["params"]]


def _loose(module: nn.Module, network: nn.Module) -> dict[str, list[Tensor]]:
    """Attribute -> tensors that want gradients and that a module keeps without knowing them as its parameters."""
    found = {
        name: [each for each in _held(value) if isinstance(each, Tensor) and each.requires_grad and each.is_leaf]
        for name, value in vars(module).items()
        if name not in ("_parameters", "_buffers")
    }
    if any(found.values()):
        registered = {id(each) for each in network.parameters()}
        found = {name: [each for each in held if id(each) not in registered] for name, held in found.items()}
    return {name: held for name, held in found.items() if held}


def _held(value: Any) -> Iterable[Any]:
    if type(value) is dict:
        return list(value.values())
    return list(value) if type(value) in (list, tuple) else (value,)
