"""What transfer needs besides weights: freezing, rates that fall with depth, gradual unfreezing, still batch norms.

Depth is counted from the top: the output layer is what changes most, the first layers what carries over best.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainwell.anatomy import inventory
from trainwell.core.errors import ModelError, SettingError, suggestion
from trainwell.core.records.layer import LayerInfo

Action = Literal["freeze", "tune_top", "tune_all", "from_scratch"]
Amount = Literal["little", "much", "plenty"]


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """A cell of the notes' table.

    Attributes:
        action: "freeze" (a new output layer on fixed features), "tune_top" (the last stages too), "tune_all" or
            "from_scratch".
        compare_with: another action worth a try in this cell, or None.
        advice: the cell in a sentence.
        amount: "little", "much" or "plenty" data.
        similar: whether the data are like those that the weights were trained on.
    """

    action: Action
    compare_with: Action | None
    advice: str
    amount: Amount
    similar: bool


def transfer_plan(*, samples_per_class: int | float, similarity: float) -> TransferPlan:
    """What to do with pretrained weights, by how much data there are and how like the pretraining's they are.

    The slide gives words; the numbers (LITTLE_BELOW, PLENTY_FROM, SIMILAR_FROM) are starting points, to be corrected by
    measuring. "Plenty" is a third row: with it, training from scratch catches up.

    Args:
        samples_per_class: labelled training samples a class, > 0; for regression, all of them / 10.
        similarity: to the data of the pretraining, from 0 (another world) to 1 (the same kind).
    Returns:
        The plan.
    Raises:
        SettingError: an argument outside its range.
    Example:
        >>> transfer_plan(samples_per_class=20, similarity=0.9).action
        'freeze'
        >>> transfer_plan(samples_per_class=500, similarity=0.1).action
        'tune_all'

    Source: notes, Transfer Learning (the slide of Stanford CS231n, "Transfer Learning with CNNs"); plenty: He et al.
    2019 (Rethinking ImageNet Pre-training), Kornblith et al. 2019.
    """
    problems = []
    if not samples_per_class > 0:
        problems.append(f"`samples_per_class > 0` must hold, but got {samples_per_class}. Count the training samples.")
    if not 0.0 <= similarity <= 1.0:
        problems.append(f"`0 <= similarity <= 1` must hold, but got {similarity}. 1 is the same kind of data.")
    if problems:
        raise SettingError(" ".join(problems))
    amount: Amount = "plenty"
    if samples_per_class < PLENTY_FROM:
        amount = "little" if samples_per_class < LITTLE_BELOW else "much"
    return TRANSFER_TABLE[amount, similarity >= SIMILAR_FROM]


def freeze(model: nn.Module, *, prefixes: Iterable[str] = (), modules: Iterable[nn.Module] = ()) -> tuple[str, ...]:
    """Stop training parameters: no gradient is computed for them, and one that is left over is dropped.

    An optimizer leaves a parameter without gradient alone; one with a stale gradient it would go on moving.

    Args:
        model: the network.
        prefixes: dotted names of modules or parameters: "layer1" is layer1 and all in it, not layer10; "" is all.
        modules: parts of the network, in place of or beside their names.
    Returns:
        Names of the parameters that are now frozen and were not: `unfreeze` with them undoes it.
    Raises:
        SettingError: a name that is not in the network, a module that is not part of it, or neither given.
    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> freeze(model, prefixes=["0"])
        ('0.weight', '0.bias')

    Source: notes, Transfer Learning.
    """
    changed = []
    for name, parameter in _selected(model, prefixes, modules):
        if parameter.requires_grad:
            parameter.requires_grad_(False)
            changed.append(name)
        parameter.grad = None
    return tuple(changed)


def unfreeze(model: nn.Module, *, prefixes: Iterable[str] = (), modules: Iterable[nn.Module] = ()) -> tuple[str, ...]:
    """Train parameters again.

    Args:
        model: the network.
        prefixes: as for `freeze`.
        modules: as for `freeze`.
    Returns:
        Names of the parameters that are now trained and were not.
    Raises:
        SettingError: as for `freeze`.
    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> unfreeze(model, prefixes=freeze(model, prefixes=["0"]))
        ('0.weight', '0.bias')

    Source: notes, Transfer Learning.
    """
    changed = []
    for name, parameter in _selected(model, prefixes, modules):
        if not parameter.requires_grad:
            parameter.requires_grad_(True)
            changed.append(name)
    return tuple(changed)


def layer_rates(
    model: nn.Module, *, lr: float, decay: float, order: Sequence[str] | Sequence[LayerInfo] | None = None
) -> dict[str, float]:
    r"""The rate of each parameter: highest in the last layer, and lower by a factor in each layer below.

    .. math:: \eta_l = \eta\, d^{\,L - l}, \quad l = 1, \dots, L

    A layer with a weight matrix opens a new depth; norms, slopes and scales have that of the layer before them.

    Args:
        model: the network.
        lr: of the last layer, > 0.
        decay: d, in (0, 1]; 1: the same rate everywhere.
        order: layers from the first to the last: `trainwell.anatomy.trace`'s, or names of modules, each of which is a
            depth of its own with all that is in it. None: the order in which modules were registered.
    Returns:
        Parameter name -> rate, of those that are not frozen.
    Raises:
        SettingError: lr or decay outside its range, a name that is not in the network, or a parameter in no layer of
            `order`.
        ModelError: there is nothing to train.
    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
        >>> layer_rates(model, lr=1.0, decay=0.5)
        {'0.weight': 0.5, '0.bias': 0.5, '1.weight': 0.5, '1.bias': 0.5, '2.weight': 1.0, '2.bias': 1.0}

    Source: Howard and Ruder 2018, section 3.2 (discriminative fine-tuning, d = 1 / 2.6).
    """
    return {name: lr * decay**steps for name, steps in _steps_below_top(model, lr=lr, decay=decay, order=order).items()}


def layerwise_lr(
    model: nn.Module, *, lr: float, decay: float, order: Sequence[str] | Sequence[LayerInfo] | None = None
) -> list[dict[str, Any]]:
    """`layer_rates` as parameter groups for an optimizer.

    Args:
        model: the network.
        lr: of the last layer, > 0.
        decay: factor from each layer to the one below it, in (0, 1].
        order: as for `layer_rates`.
    Returns:
        Groups {"params", "lr", "name"}, from the first layer to the last; frozen parameters are left out.
    Raises:
        SettingError: as for `layer_rates`.
        ModelError: there is nothing to train.
    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> [(group["name"], group["lr"]) for group in layerwise_lr(model, lr=1.0, decay=0.5)]
        [('depth 1', 0.5), ('depth 0', 1.0)]

    Source: Howard and Ruder 2018, section 3.2.
    """
    steps_below = _steps_below_top(model, lr=lr, decay=decay, order=order)
    parameters = dict(model.named_parameters())
    return [
        {
            "params": [parameters[name] for name, its in steps_below.items() if its == steps],
            "lr": lr * decay**steps,
            "name": f"depth {steps}",
        }
        for steps in sorted(set(steps_below.values()), reverse=True)
    ]


def unfrozen_stages(step: int, *, stages: int, steps_per_stage: int, first_stages: int = 1) -> int:
    r"""How many stages, counted from the top, are trained at a step of gradual unfreezing.

    .. math:: k_s = \min(\text{stages},\; \text{first} + \lfloor s / \text{steps per stage} \rfloor)

    Args:
        step: number of the optimizer step, >= 0.
        stages: of the network, >= 1.
        steps_per_stage: optimizer steps until one more is unfrozen, >= 1.
        first_stages: trained from the start, from 0 to stages.
    Returns:
        A count from first_stages to stages; it never falls.
    Raises:
        SettingError: an argument outside its range.
    Example:
        >>> [unfrozen_stages(step, stages=3, steps_per_stage=10) for step in (0, 9, 10, 25, 1000)]
        [1, 1, 2, 3, 3]

    Source: Howard and Ruder 2018, section 3.3 (gradual unfreezing).
    """
    problems = []
    if step < 0:
        problems.append(f"`step >= 0` must hold, but got {step}. Count optimizer steps from zero.")
    if stages < 1:
        problems.append(f"`stages >= 1` must hold, but got {stages}. Count the network's stages.")
    if steps_per_stage < 1:
        problems.append(f"`steps_per_stage >= 1` must hold, but got {steps_per_stage}. Count optimizer steps.")
    if not 0 <= first_stages <= max(stages, 0):
        problems.append(f"`0 <= first_stages <= stages` must hold, but got {first_stages} and {stages}. Use 1.")
    if problems:
        raise SettingError(" ".join(problems))
    return min(stages, first_stages + step // steps_per_stage)


def unfreeze_top(model: nn.Module, *, stages: Sequence[str], count: int) -> tuple[str, ...]:
    """Train the last `count` stages and freeze the others; what is in no stage stays as it is.

    Args:
        model: the network.
        stages: names of modules, from the first to the last.
        count: stages to train, from 0 to all; `unfrozen_stages` says how many.
    Returns:
        Names of the parameters of the stages that are now trained.
    Raises:
        SettingError: count outside its range, or a name that is not in the network.
    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> unfreeze_top(model, stages=("0", "1"), count=1)
        ('1.weight', '1.bias')

    Source: Howard and Ruder 2018, section 3.3.
    """
    if not 0 <= count <= len(stages):
        raise SettingError(f"`0 <= count <= {len(stages)}` must hold, but got {count}. There are no other stages.")
    split = len(stages) - count
    if split > 0:
        freeze(model, prefixes=stages[:split])
    if count == 0:
        return ()
    unfreeze(model, prefixes=stages[split:])
    return tuple(name for name, _ in _selected(model, stages[split:], ()))


@contextlib.contextmanager
def frozen_batch_norm(model: nn.Module) -> Iterator[int]:
    """Within, batch norms use their running statistics and leave them as they are, also after `model.train()`.

    Statistics of the pretraining are worth more than those of a few new batches. Scales and shifts still train; to
    stop them, `freeze` them by name.

    Args:
        model: the network, or the part of it that is frozen.
    Yields:
        The number of batch norms held still; those that keep no running statistics are left alone.
    Example:
        >>> import torch
        >>> model = nn.BatchNorm1d(1)
        >>> with frozen_batch_norm(model):
        ...     output = model.train()(torch.tensor([[1.0], [3.0]]))
        >>> model.running_mean, model.training
        (tensor([0.]), True)

    Source: notes, Transfer Learning; He et al. 2016, appendix A.
    """
    norms = [one for one in model.modules() if isinstance(one, _BatchNorm) and one.running_mean is not None]
    # The mode is set for the length of each call alone: `model.train()` cannot undo it, and nothing is left to restore.
    modes: dict[nn.Module, list[bool]] = {norm: [] for norm in norms}

    def still(norm: nn.Module, _inputs: object) -> None:
        modes[norm].append(norm.training)
        norm.training = False

    def as_found(norm: nn.Module, _inputs: object, _output: object) -> None:
        norm.training = modes[norm].pop()

    handles = [norm.register_forward_pre_hook(still) for norm in norms]
    handles += [norm.register_forward_hook(as_found, always_call=True) for norm in norms]
    try:
        yield len(norms)
    finally:
        for handle in handles:
            handle.remove()


def _selected(
    model: nn.Module, prefixes: Iterable[str], modules: Iterable[nn.Module]
) -> list[tuple[str, nn.Parameter]]:
    names = {module: name for name, module in model.named_modules()}
    wanted, given = list(prefixes), list(modules)
    problems = []
    if not wanted and not given:
        problems.append('`prefixes` or `modules` must be given, but got neither. Use prefixes=[""] for everything.')
    parameters = list(model.named_parameters(remove_duplicate=False))
    known = [name for name in names.values() if name] + [name for name, _ in parameters]
    problems += [
        f'`prefixes` must be in the model, but got "{prefix}". {suggestion(prefix, known)}'
        for prefix in wanted
        if prefix and prefix not in known
    ]
    outside = sum(module not in names for module in given)
    if outside:
        problems.append(f"`modules` must be parts of the model, but {outside} of {len(given)} are not. Pass its own.")
    if problems:
        raise SettingError(" ".join(problems))
    wanted += [names[module] for module in given]
    return [(name, one) for name, one in parameters if any(_within(name, prefix) for prefix in wanted)]


def _steps_below_top(
    model: nn.Module, *, lr: float, decay: float, order: Sequence[str] | Sequence[LayerInfo] | None
) -> dict[str, int]:
    """Name of each parameter that is trained -> how many depths lie above it."""
    problems = []
    if not 0.0 < lr < math.inf:
        problems.append(f"`0 < lr < inf` must hold, but got {lr}. Give a learning rate such as 0.001.")
    if not 0.0 < decay <= 1.0:
        problems.append(f"`0 < decay <= 1` must hold, but got {decay}. Use 1 for the same rate everywhere.")
    depths = _depths(inventory(model) if order is None else order)
    parameters = dict(model.named_parameters())
    known = [name for name, _ in model.named_modules()] + list(parameters)
    problems += [
        f'`order` must name modules of the model, but got "{name}". {suggestion(name, known)}'
        for name in depths
        if name not in known
    ]
    places = {name: _innermost(name, depths) for name in parameters}
    lost = [name for name, place in places.items() if place is None]
    if lost:
        problems.append(
            f"`order` must cover every parameter, but none of its layers holds {', '.join(lost)}. "
            "Name the modules that do."
        )
    if problems:
        raise SettingError(" ".join(problems))
    found = {name: depths[place] for name, place in places.items() if place is not None}
    # Depths that hold no parameter do not lower the rates below them; frozen ones do.
    levels = sorted(set(found.values()), reverse=True)
    trained = {name: levels.index(depth) for name, depth in found.items() if parameters[name].requires_grad}
    if not trained:
        raise ModelError("A model must have parameters that require gradients, but this one has none. Unfreeze some.")
    return trained


def _depths(order: Sequence[str] | Sequence[LayerInfo]) -> dict[str, int]:
    """Module or parameter name -> depth, rising from the first layer."""
    depths: dict[str, int] = {}
    depth = 0
    ran = any(isinstance(layer, LayerInfo) and layer.calls > 0 for layer in order)
    opened = False
    for layer in order:
        if isinstance(layer, str):
            depths.setdefault(layer, len(depths))
            continue
        # What never ran is listed last, and is no deeper for it.
        if layer.is_weighted and (layer.calls > 0 or not ran):
            depth += opened
            opened = True
        for name in layer.weights if layer.functional else (layer.name,):
            depths.setdefault(name, depth)
    return depths


def _innermost(parameter: str, names: Iterable[str]) -> str | None:
    return max((name for name in names if _within(parameter, name)), key=len, default=None)


def _within(parameter: str, prefix: str) -> bool:
    return prefix == "" or parameter == prefix or parameter.startswith(prefix + ".")


TINY_BELOW = 30
"""Samples a class below which one validation split lies: cross-validation is repeated, and fine-tuning judged by all of
its folds."""

LITTLE_BELOW = 100
"""Samples a class; below it, data are "little"."""

PLENTY_FROM = 1000
"""Samples a class; from it on, data are "plenty"."""

SIMILAR_FROM = 0.5
"""Similarity from which data count as like those of the pretraining."""

TRANSFER_TABLE: dict[tuple[Amount, bool], TransferPlan] = {
    ("little", True): TransferPlan(
        action="freeze",
        compare_with=None,
        advice="Freeze the network and train a linear classifier on its last features.",
        amount="little",
        similar=True,
    ),
    ("little", False): TransferPlan(
        action="freeze",
        compare_with="tune_top",
        advice="The hard case: try linear classifiers on features of several stages, other weights, or more data.",
        amount="little",
        similar=False,
    ),
    ("much", True): TransferPlan(
        action="tune_top",
        compare_with="tune_all",
        advice="Fine-tune the last few stages, with rates that fall with depth.",
        amount="much",
        similar=True,
    ),
    ("much", False): TransferPlan(
        action="tune_all",
        compare_with="from_scratch",
        advice="Fine-tune a larger number of layers, up to all of them.",
        amount="much",
        similar=False,
    ),
    ("plenty", True): TransferPlan(
        action="tune_all",
        compare_with="from_scratch",
        advice="Fine-tune all layers: it is seldom worse than training from scratch, and faster.",
        amount="plenty",
        similar=True,
    ),
    ("plenty", False): TransferPlan(
        action="from_scratch",
        compare_with="tune_all",
        advice="Train from scratch, and see whether fine-tuning all layers gets there sooner.",
        amount="plenty",
        similar=False,
    ),
}
"""(How much data, whether they are similar) -> plan. Rows little and much are the slide's."""
