"""One activation in the place of another."""

from dataclasses import dataclass

from torch import nn

from trainwell.activations.table import activation
from trainwell.anatomy import Batch, inventory, trace
from trainwell.core.records.layer import NOT_ELEMENTWISE, LayerInfo


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An activation that stays.

    Attributes:
        name: of the module, or of the functional call.
        activation: its table name.
        why: one sentence.
    """

    name: str
    activation: str
    why: str


@dataclass(frozen=True, kw_only=True)
class SwapReport:
    """What `swap` did.

    Attributes:
        activation: the new one.
        replaced: dotted name of each place -> table name of what was there.
        kept: modules that were left: output activations, gates.
        functional: calls of functions that no module can replace: the user's own code must change there.
        functional_searched: whether they were looked for, which takes a batch.
    """

    activation: str
    replaced: dict[str, str]
    kept: tuple[Kept, ...]
    functional: tuple[Kept, ...]
    functional_searched: bool

    def __str__(self) -> str:
        lines = [f"{len(self.replaced)} activation(s) replaced by {self.activation}."]
        lines += [f"{name}: was {old}." for name, old in self.replaced.items()]
        lines += [
            f"{kept.name or 'the network'}: {kept.activation} kept. {kept.why}"
            for kept in (*self.kept, *self.functional)
        ]
        if not self.functional_searched:
            lines.append("Functional calls (such as F.relu) were not looked for: pass a batch.")
        return "\n".join(lines)


def swap(model: nn.Module, name: str, *, batch: Batch | None = None) -> SwapReport:
    """Replace the hidden activations of any module tree, in place.

    A module that stands in several places is replaced by one new module in all of them. Output activations stay: those
    that no weighted layer comes after. So do gates, whose sigmoid is part of a product, softmax and GLU, which are not
    elementwise. The activation inside torch's recurrent layers is part of them and stays. PReLU brings parameters:
    make the optimizer afterwards.

    Args:
        model: any module; changed.
        name: a name of `ACTIVATIONS`.
        batch: what the network is called with. Without it the order of registration stands for the order of execution,
            in doubt an activation stays, and functional calls are not looked for.
    Returns:
        What was replaced, what was kept and why, and the functional calls that nothing here can replace.
    Raises:
        SettingError: unknown name.
    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
        >>> print(swap(model, "gelu", batch=torch.ones(2, 4)))
        1 activation(s) replaced by gelu.
        1: was relu.
        3: sigmoid kept. It is the output's.

    Source: notes, Activation Functions, Summary.
    """
    entry = activation(name)
    layers = inventory(model) if batch is None else trace(model, batch)
    hidden = [layer for layer in layers if layer.role == "activation" and layer.table_name not in NOT_ELEMENTWISE]
    tail = _tail(model, layers) if batch is None else set()
    replaced: dict[str, str] = {}
    kept, functional = [], []
    for layer in hidden:
        why = _reason_to_keep(layer, tail)
        if layer.functional and not layer.is_output:
            why = why or "It is a call of a function: change it in the code of the module that makes it."
            functional.append(Kept(name=layer.name, activation=layer.table_name, why=why))
        elif why:
            kept.append(Kept(name=layer.name, activation=layer.table_name, why=why))
        else:
            places = _replace(model, model.get_submodule(layer.name), entry.make())
            replaced |= dict.fromkeys(places, layer.table_name)
    return SwapReport(
        activation=name,
        replaced=replaced,
        kept=tuple(kept),
        functional=tuple(functional),
        functional_searched=batch is not None,
    )


def _reason_to_keep(layer: LayerInfo, tail: set[str]) -> str:
    if layer.gates:
        return "It is a gate: its output multiplies another signal."
    if layer.is_output and layer.output_calls < layer.calls:
        return "It is the output's and a hidden layer's at once: give the output one of its own."
    if layer.is_output:
        return "It is the output's."
    if layer.name in tail:
        return "It may be the output's: pass a batch to know."
    if not layer.name:
        return "It is the network itself."
    return ""


def _tail(model: nn.Module, layers: tuple[LayerInfo, ...]) -> set[str]:
    """Activations that may be the output's, where the network was not run: registered after the last weighted layer.

    Inside a Sequential the order of registration is the order of execution, so they are. Elsewhere a rectifier is
    likelier to be a hidden layer's (`self.act = nn.ReLU()` registered last) and a squashing function the output's.
    """
    last = max((place for place, layer in enumerate(layers) if layer.is_weighted), default=-1)
    after = [layer for layer in layers[last + 1 :] if layer.role == "activation"]
    ordered = isinstance(model, nn.Sequential)
    return {
        layer.name for layer in after if ordered or layer.table_name in ("sigmoid", "tanh", "hardsigmoid", "softplus")
    }


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> list[str]:
    """Put the new module wherever the old one stands."""
    reference = next(model.parameters(), None)
    if reference is not None and reference.is_floating_point():
        new.to(device=reference.device, dtype=reference.dtype)
    new.train(old.training)
    places = []
    for parent_name, parent in model.named_modules():
        for child_name, child in parent._modules.items():
            if child is old:
                parent._modules[child_name] = new
                places.append(f"{parent_name}.{child_name}" if parent_name else child_name)
    return places
