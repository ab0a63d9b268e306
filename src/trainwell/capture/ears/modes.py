"""Dropout and batch norm act in training mode alone: in which mode is a network trained, and in which evaluated?"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Passed, Scene, Telling
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.networks import ModeSeen

DROPOUTS = frozenset(
    {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout"}
)
RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
LOSSES = frozenset(
    {
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cross_entropy",
        "ctc_loss",
        "huber_loss",
        "l1_loss",
        "mse_loss",
        "nll_loss",
        "smooth_l1_loss",
    }
)
COMPARISONS = frozenset({"eq", "__eq__", "ne", "__ne__"})
FOLLOWED = frozenset(
    {"argmax", "max", "topk", "softmax", "log_softmax", "sigmoid", "round", "gt", "ge", "__getitem__"}
    | {"cpu", "to", "float", "int", "long", "bool"}
)
"""Functions between a network's outputs and what they are compared with. Sums and means over several calls are none of
them: who averages over dropout means it."""


class Modes(Ear):
    """Fills `modes`."""

    functions = DROPOUTS | RECURRENT | LOSSES | COMPARISONS | FOLLOWED | {"batch_norm"}

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.networks: dict[int, _Network] = {}
        self.turned_off: dict[int, Where] = {}
        self.call: _Call | None = None
        self.watched: list[Tensor] = []
        self.evaluating: tuple[_Network, Where, bool] | None = None
        self.targets = 0

    def tellings(self) -> Iterable[Telling]:
        return (Telling(nn.Module, "train", before=self._turned),)

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) == 1 and _learns(module):
            self.call = _Call()

    def passed(self, call: Passed) -> None:
        if not call.outermost or self.call is None:
            return
        mine, self.call = self.call, None
        self.watched, self.evaluating = [], None
        if call.outputs is None or not (mine.on or mine.off):
            return
        network = self.networks.get(id(call.module))
        if network is None:
            network = self.networks[id(call.module)] = _Network(call.module, self.scene.networks[id(call.module)])
        network.dropout |= mine.dropout
        network.norm |= mine.norm
        given = next(_tensors((call.inputs, call.options)), None)
        if not call.with_gradients and not call.module.training and not network.stepped:
            network.asked = network.asked or id(call.module) in self.turned_off
        if call.with_gradients:
            network.take(mine, given)
        elif call.module.training and mine.on and network.stepped:
            again = given is not None and network.given is not None and _alike(given, network.given)
            self.evaluating = (network, user_line(), again)
            self.watched = list(_tensors(call.outputs))
            if any(each is loss for each in self.watched for loss in mine.losses):
                self._evaluated(0)

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if name in LOSSES:
            self._compared(args, options, found)
        elif name in COMPARISONS or name in FOLLOWED:
            if self.watched and self.call is None:
                self._follow(name, args, found)
        elif self.call is not None:
            self.call.take(name, args, options)

    def stepped(self, optimizer: Optimizer) -> None:
        self.watched, self.evaluating = [], None
        given = {id(each) for group in optimizer.param_groups for each in group["params"]}
        for network in self.networks.values():
            if any(each.requires_grad and id(each) in given for each in network.module.parameters()):
                network.step(self.turned_off.get(id(network.module), Where()))

    def seen(self) -> dict[str, Any]:
        return {"modes": tuple(each.seen() for each in self.networks.values() if each.stepped)}

    def _turned(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        mode = args[1] if len(args) > 1 else options.get("mode", True)
        # Of what has been called, outermost modules alone are asked about; the parts of a network follow it.
        if not mode and (not self.scene.networks or id(args[0]) in self.scene.networks):
            self.turned_off[id(args[0])] = user_line()

    def _compared(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        """A loss function has returned."""
        if not isinstance(found, Tensor):
            return
        if self.call is not None:
            if found.ndim == 0:
                self.call.losses.append(found)
            return
        given = args[0] if args else options.get("input")
        target = args[1] if len(args) > 1 else options.get("target")
        if not isinstance(target, Tensor):
            return
        if found.requires_grad:
            self.targets = target.numel()
        elif found.ndim == 0 and self._is_watched(given) and not self._is_watched(target):
            self._evaluated(target.numel())

    def _follow(self, name: str, args: tuple[Any, ...], found: Any) -> None:
        """Something was made of a network's outputs, or they were compared with something."""
        watched = [each for each in args if self._is_watched(each)]
        if not watched:
            return
        if name in FOLLOWED:
            self.watched += list(_tensors(found))
            return
        others = [each for each in args[:2] if isinstance(each, Tensor) and not self._is_watched(each)]
        if others and others[0].numel() == watched[0].numel() > 1:
            self._evaluated(others[0].numel())

    def _evaluated(self, targets: int) -> None:
        """Outputs that were made without gradients are judged."""
        if self.evaluating is None:
            return
        network, where, again = self.evaluating
        # Who looks at the very batch of the last step may want to see what the step did to its loss.
        if not again or targets not in (0, self.targets):
            network.evaluated += 1
            if network.evaluated == 1:
                network.evaluated_at, network.compared_at = where, user_line()
        self.watched, self.evaluating = [], None

    def _is_watched(self, value: Any) -> bool:
        return isinstance(value, Tensor) and any(value is each or _shares(value, each) for each in self.watched)


class _Call:
    """What acts in one call of a network, and what does not because of the mode."""

    def __init__(self) -> None:
        self.on = self.off = self.dropout = self.norm = self.new = False
        self.losses: list[Tensor] = []

    def take(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """A function that depends on the mode has returned."""
        if name == "batch_norm":
            mean, variance = args[1] if len(args) > 1 else None, args[2] if len(args) > 2 else None
            on = options.get("training", args[5] if len(args) > 5 else False)
            if not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
                # It keeps no averages and is the same in both modes.
                return
            self.norm = True
            if not on and not self.new:
                self.new = bool((mean == 0).all()) and bool((variance == 1).all())
        else:
            probability, on = _dropped(name, args, options)
            if not probability > 0:
                return
            self.dropout = True
        self.on, self.off = self.on or bool(on), self.off or not on


class _Network:
    """A network in which something depends on the mode."""

    def __init__(self, module: nn.Module, number: int) -> None:
        self.module, self.number = module, number
        self.dropout = self.norm = self.new = self.asked = False
        self.given: Tensor | None = None
        self.trained, self.tested, self.evaluated = 0, 0, 0
        self.turned_at, self.called_at, self.evaluated_at, self.compared_at = Where(), Where(), Where(), Where()
        self._in_training = self._in_test = False

    @property
    def stepped(self) -> bool:
        """Whether a step was taken along its gradients."""
        return self.trained > 0 or self.tested > 0

    def take(self, call: _Call, given: Tensor | None) -> None:
        """A call with gradients."""
        if self.module.training:
            self._in_training = self._in_training or call.on
            self.given = given
        elif call.off and not call.on:
            self._in_test, self.new = True, call.new
            if self.tested == 0:
                self.called_at = user_line()

    def step(self, turned_off: Where) -> None:
        """An optimizer that has its weights has taken one."""
        if self._in_training:
            self.trained += 1
            self.tested = 0
        elif self._in_test:
            self.tested += 1
            self.turned_at = turned_off
        self._in_training = self._in_test = False

    def seen(self) -> ModeSeen:
        """What became of it."""
        return ModeSeen(
            network=self.number,
            dropout=self.dropout,
            norm=self.norm,
            new=self.new,
            trained=self.trained,
            tested=self.tested,
            asked=self.asked,
            turned_at=self.turned_at,
            called_at=self.called_at,
            evaluated=self.evaluated,
            evaluated_at=self.evaluated_at,
            compared_at=self.compared_at,
        )


def _dropped(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[float, bool]:
    """With which probability numbers are left out in training mode, and whether they are now."""
    if name in RECURRENT:
        # Packed sequences take one argument more, before these two.
        pairs = [(one, other) for one, other in itertools.pairwise(args) if type(one) is float and type(other) is bool]
        return pairs[0] if pairs else (0.0, False)
    probability = options.get("p", args[1] if len(args) > 1 else 0.5)
    on = options.get("training", options.get("train", args[2] if len(args) > 2 else True))
    return float(probability), bool(on)


def _learns(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _alike(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all()))


def _shares(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are views of the same numbers."""
    try:
        pointer = one.untyped_storage().data_ptr()
        return pointer != 0 and pointer == other.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        # Sparse ones have no storage to ask for.
        return False


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
