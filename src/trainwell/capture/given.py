"""A training as its author hands it over: a network, data, a loss, an optimizer."""

import copy
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from trainwell.core.errors import SettingError

RATE = 1e-3
"""Of AdamW where no optimizer is given: the rate of its paper."""

Step = Callable[[nn.Module, Any, Callable[..., Any], Optimizer], Any]
"""(model, batch, loss, optimizer) -> loss: one training step, the optimizer's included."""


@dataclass(frozen=True)
class Setup:
    """What is trained. Fields and validation, no verbs; nothing of what is handed over is ever changed.

    Attributes:
        model: the network, or a function without arguments that builds one.
        train: a pair (inputs, targets) of tensors or arrays, a Dataset, or a DataLoader.
        val: likewise, to measure on; None: there is none.
        loss: (prediction, target) -> scalar; None: cross-entropy where the targets are whole numbers, else the mean
            squared error. Not asked for where the batches are mappings: then the network returns its loss itself.
        optimizer: one over the model's parameters, or a function of parameters that makes one; None: AdamW at 1e-3.
        batch_size: samples a step, where `train` is no DataLoader.
        epochs: passes over `train`. With `val` a check trains to the last one, where it has the time, and reads the
            curves.
        step: your own training step (model, batch, loss, optimizer) -> loss, with zero_grad, backward and step; None:
            the usual one.
        seed: of order and draws.
        patch: what the remedies of a check changed, in words; you leave it empty.
    Raises:
        SettingError: parts that cannot be trained, all of them at once.
    Example:
        >>> Setup(nn.Linear(2, 1), train=(torch.ones(4, 2), torch.ones(4, 1))).assumed
        ('the loss is the mean squared error', 'the optimizer is AdamW at 0.001')
    """

    model: nn.Module | Callable[[], nn.Module]
    train: Any
    val: Any = None
    loss: Callable[..., Any] | None = None
    optimizer: Optimizer | Callable[..., Optimizer] | None = None
    batch_size: int = 64
    epochs: int = 10
    step: Step | None = None
    seed: int = 0
    patch: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = []
        model: object = self.model
        if not isinstance(model, nn.Module) and not callable(model):
            wrong.append(f"`model` must be a torch module or a function that builds one, but got {_kind(self.model)}")
        if self.batch_size < 1 or self.epochs < 1:
            wrong.append(f"`batch_size >= 1` and `epochs >= 1` must hold, but got {self.batch_size} and {self.epochs}")
        for name, given in (("train", self.train), ("val", self.val)):
            if given is not None or name == "train":
                wrong += _wrong_data(name, given)
        if isinstance(self.optimizer, Optimizer) and not isinstance(self.model, nn.Module):
            wrong.append(
                "an `optimizer` that exists needs a `model` that exists, but got a function: pass both as such"
            )
        if wrong:
            raise SettingError("A Setup must be trainable: " + "; ".join(wrong) + ".")

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was left out and is assumed, in words."""
        said = []
        if self.loss is None and self.step is None:
            kind = "cross-entropy" if self._classes() else "the mean squared error"
            said.append(f"the loss is {kind}")
        if self.optimizer is None:
            said.append(f"the optimizer is AdamW at {RATE:g}")
        return tuple(said)

    def _classes(self) -> bool:
        if not isinstance(self.train, tuple):
            return True
        return not torch.as_tensor(self.train[1]).is_floating_point()


@dataclass(kw_only=True)
class Training:
    """A copy of a Setup in training.

    Attributes:
        model: the network.
        optimizer: over its parameters.
        batches: without end, epoch after epoch.
        loss: (prediction, target) -> scalar.
        step: takes one step.
    """

    model: nn.Module
    optimizer: Optimizer
    batches: Iterator[Any]
    loss: Callable[..., Any]
    step: Step


def begin(setup: Setup) -> Training:
    """Copies of what a Setup holds, ready for the first step.

    Args:
        setup: is left as it is.
    """
    if isinstance(setup.model, nn.Module):
        memo: dict[int, Any] = {}
        model = copy.deepcopy(setup.model, memo)
        own = _copied(setup.optimizer, memo) if isinstance(setup.optimizer, Optimizer) else None
    else:
        model, own = setup.model(), None
    lightning = hasattr(model, "training_step") and hasattr(model, "configure_optimizers")
    if own is None and callable(setup.optimizer):
        own = setup.optimizer(model.parameters())
    elif own is None:
        own = _lightning_optimizer(model) if lightning else AdamW(model.parameters(), lr=RATE)
    if not isinstance(own, Optimizer):
        raise SettingError(f"`optimizer` must make an optimizer of torch.optim, but made {_kind(own)}.")
    model.train()
    return Training(
        model=model,
        optimizer=own,
        batches=batches_of(setup.train, batch_size=setup.batch_size, seed=setup.seed),
        loss=setup.loss or usual_loss,
        step=setup.step or (_lightning_step if lightning else usual_step),
    )


def usual_step(model: nn.Module, batch: Any, loss: Callable[..., Any], optimizer: Optimizer) -> Any:
    """Clear the gradients, forward, backward, step."""
    optimizer.zero_grad()
    if isinstance(batch, Mapping):
        outputs = model(**batch)
        value = outputs["loss"] if isinstance(outputs, Mapping) else outputs.loss
    else:
        *inputs, targets = batch
        value = loss(model(*inputs), targets)
    value.backward()
    optimizer.step()
    return value


def usual_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy where the targets are whole numbers, else the mean squared error."""
    if targets.is_floating_point():
        return nn.functional.mse_loss(outputs, targets)
    return nn.functional.cross_entropy(outputs, targets)


def batches_of(data: Any, *, batch_size: int, seed: int) -> Iterator[Any]:
    """Batches of what a Setup trains on, without end.

    Args:
        data: a pair, a Dataset or a DataLoader.
        batch_size: where it is no loader.
        seed: of their order, likewise.
    """
    loader = loader_of(data, batch_size=batch_size, shuffled_by=seed)
    for epoch in itertools.count():
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise SettingError(f"`train` must hold batches, but was empty in epoch {epoch + 1}.")


def loader_of(data: Any, *, batch_size: int, shuffled_by: int | None = None) -> Iterable[Any]:
    """One pass a time over what a Setup trains on or measures on.

    Args:
        data: a pair, a Dataset or a DataLoader, which goes its own way.
        batch_size: where it is no loader.
        shuffled_by: seed of the order, likewise; None: as the samples stand.
    """
    if isinstance(data, tuple | list):
        data = TensorDataset(*(torch.as_tensor(each) for each in data))
    if not isinstance(data, Dataset):
        loader: Iterable[Any] = data
        return loader
    if shuffled_by is None or isinstance(data, IterableDataset):
        return DataLoader(data, batch_size=batch_size)
    return DataLoader(data, batch_size=batch_size, shuffle=True, generator=torch.Generator().manual_seed(shuffled_by))


@contextmanager
def draws_kept(*data: Any) -> Iterator[None]:
    """Within, random numbers may be drawn; after, all generators are as they were found.

    Args:
        data: whose own generators, of loaders and samplers, are kept too.
    """
    own = [each for given in data for each in _generators(given)]
    states = [each.get_state() for each in own]
    cpu, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002 - users draw
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - likewise
        for each, state in zip(own, states, strict=True):
            each.set_state(state)


def as_setup(made: Any, *, of: str) -> Setup:
    """What a user's function returned, as a Setup.

    Args:
        made: a Setup, a mapping with its fields, or a pair (LightningModule, loader).
        of: the function, for messages.
    Raises:
        SettingError: it is nothing of these.
    """
    if isinstance(made, Setup):
        return made
    if isinstance(made, Mapping):
        unknown = [key for key in made if key not in Setup.__dataclass_fields__]
        if unknown or "model" not in made or "train" not in made:
            raise SettingError(
                f"{of} must return the fields of a Setup, `model` and `train` at least, but its mapping has "
                f"{', '.join(map(str, made)) or 'nothing'}."
            )
        return Setup(**made)
    if isinstance(made, tuple) and len(made) == 2 and hasattr(made[0], "training_step"):
        module, loader = made
        return Setup(module, train=loader)
    raise SettingError(
        f"{of} must return a trainwell.Setup, a dict with its fields, or a LightningModule and its loader, but "
        f"returned {_kind(made)}."
    )


def _lightning_step(model: Any, batch: Any, _loss: Callable[..., Any], optimizer: Optimizer) -> Any:
    optimizer.zero_grad()
    made = model.training_step(batch, 0)
    value = made["loss"] if isinstance(made, Mapping) else made
    value.backward()
    optimizer.step()
    return value


def _lightning_optimizer(model: Any) -> Optimizer:
    """The first that a LightningModule configures, in whichever of its forms."""
    made = model.configure_optimizers()
    while not isinstance(made, Optimizer):
        if isinstance(made, Mapping):
            made = made["optimizer"]
        elif isinstance(made, tuple | list) and made:
            made = made[0]
        else:
            raise SettingError(f"`configure_optimizers` must return an optimizer, but returned {_kind(made)}.")
    return made


def _copied(optimizer: Optimizer, memo: dict[int, Any]) -> Optimizer:
    """Over the copied parameters. Its own way to be copied would leave out what LBFGS keeps beside its groups."""
    copied: Optimizer = object.__new__(type(optimizer))
    # A scheduler has put its own `step` into the instance.
    copied.__dict__.update({key: copy.deepcopy(value, memo) for key, value in vars(optimizer).items() if key != "step"})
    return copied


def _wrong_data(name: str, given: Any) -> list[str]:
    if isinstance(given, DataLoader | Dataset):
        return []
    if not isinstance(given, tuple | list) or len(given) < 2:
        return [f"`{name}` must be a pair (inputs, targets), a Dataset or a DataLoader, but got {_kind(given)}"]
    try:
        sizes = [len(torch.as_tensor(each)) for each in given]
    except (TypeError, ValueError, RuntimeError):
        return [f"`{name}` must hold tensors or arrays of numbers, but got {', '.join(map(_kind, given))}"]
    if len(set(sizes)) > 1 or sizes[0] == 0:
        return [f"`{name}` must hold equally many inputs and targets, at least one, but got {sizes}"]
    return []


def _generators(given: Any) -> Iterator[torch.Generator]:
    for each in (given, getattr(given, "sampler", None), getattr(given, "batch_sampler", None)):
        found = getattr(each, "generator", None)
        if isinstance(found, torch.Generator):
            yield found


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
