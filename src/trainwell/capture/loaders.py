"""The loaders of a script: where they were made, what they gave last, and their datasets asked once more."""

import dis
import functools
import hashlib
import itertools
import multiprocessing
import pickle
import random
import time
import types
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from torch.utils.data import dataloader as torch_dataloader

from trainwell.capture.dependence import UntoldError
from trainwell.capture.ear import Telling
from trainwell.capture.source import is_own, line_of, user_line
from trainwell.capture.stored import octets, stored
from trainwell.core.records.finding import Where
from trainwell.core.records.loading import FurtherLabels, WorkerRandomness
from trainwell.core.records.seen.data import Order

Path = tuple[int | str, ...]
"""Where in a batch something stands: a position or a key; empty: it is the batch itself."""

SECONDS = 5.0
"""A worker may take so long for a sample before it is given up."""
ASKED = 32
"""Samples that are asked for their classes: enough to meet every other class of those that make up a tenth."""
SEED = 0
"""Of the workers that are asked; theirs differ by worker, as always."""
LAST = 4
"""Loaders whose last batch is remembered: some scripts read from several in turn."""
MOST_OBJECTS = 2000
"""That are looked through for random generators: a dataset may hold a list of a million files."""
MOST_OF_ONE = 100
"""Elements of one container, likewise."""

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
_LEAVES = (str, bytes, int, float, Tensor, np.ndarray, nn.Module, types.ModuleType, type)


class Loaders:
    """Notes what loaders do, while it is told."""

    def __init__(self) -> None:
        self.made: weakref.WeakKeyDictionary[DataLoader[Any], Where] = weakref.WeakKeyDictionary()
        self.iterated: weakref.WeakKeyDictionary[DataLoader[Any], Where] = weakref.WeakKeyDictionary()
        self.iterators: weakref.WeakKeyDictionary[Any, DataLoader[Any]] = weakref.WeakKeyDictionary()
        self.given: dict[int, tuple[DataLoader[Any], list[tuple[Path, Tensor]]]] = {}

    def tellings(self) -> Iterator[Telling]:
        """What is to be told."""
        yield Telling(DataLoader, "__init__", after=self._make)
        yield Telling(DataLoader, "__iter__", after=self._iterate)
        yield Telling(torch_dataloader._BaseDataLoaderIter, "__next__", after=self._give)

    @property
    def last(self) -> DataLoader[Any] | None:
        """The loader that gave the last batch."""
        return next(reversed(self.given.values()))[0] if self.given else None

    def source(self, values: Tensor) -> tuple[DataLoader[Any], Path] | None:
        """The loader whose last batch holds such a row of numbers, and where in the batch.

        Args:
            values: one dimension; their type may be another.
        """
        for loader, tensors in reversed(self.given.values()):
            for path, each in tensors:
                if each.numel() == values.numel() and torch.equal(each.flatten().to(values), values):
                    return loader, path
        return None

    def place(self, loader: DataLoader[Any]) -> Where:
        """The line that made a loader, or that iterated it."""
        made = self.made.get(loader, Where())
        return made if made.line is not None else self.iterated.get(loader, Where())

    def _make(self, args: tuple[Any, ...], _options: dict[str, Any], _found: Any) -> None:
        self.made[args[0]] = user_line()

    def _iterate(self, args: tuple[Any, ...], _options: dict[str, Any], found: Any) -> None:
        self.iterated[args[0]] = user_line()
        # A loader of another kind may be its own iterator.
        self.iterators[found] = args[0]

    def _give(self, args: tuple[Any, ...], _options: dict[str, Any], found: Any) -> None:
        loader = self.iterators.get(args[0])
        if loader is None:
            return
        self.given.pop(id(loader), None)
        self.given[id(loader)] = (loader, list(_columns(found)))
        while len(self.given) > LAST:
            del self.given[next(iter(self.given))]


def order_of(loader: DataLoader[Any]) -> Order:
    """In which order a loader goes through its dataset.

    Args:
        loader: any.
    Example:
        >>> order_of(DataLoader(range(4))), order_of(DataLoader(range(4), shuffle=True))
        ('sequential', 'shuffled')
    """
    if isinstance(loader.dataset, IterableDataset):
        return "stream"
    if loader.batch_sampler is not None and type(loader.batch_sampler) is not BatchSampler:
        return "own"
    sampler = loader.sampler
    if isinstance(sampler, DistributedSampler):
        return "shuffled" if sampler.shuffle else "sequential"
    if isinstance(sampler, RandomSampler | SubsetRandomSampler | WeightedRandomSampler):
        return "shuffled"
    return "sequential" if isinstance(sampler, SequentialSampler) else "own"


def worker_randomness(loader: DataLoader[Any] | None, *, where: Where) -> WorkerRandomness:
    """Fork two workers as the loader does, and ask each twice for the same sample.

    Args:
        loader: that gave the batches; None: none did.
        where: the line that made it.
    Raises:
        UntoldError: it has fewer than two workers, or they cannot be asked.
    """
    if loader is None:
        raise UntoldError("no DataLoader gave the batches")
    if loader.num_workers < 2:
        raise UntoldError("the loader has fewer than two workers, whose random numbers could be the same")
    _is_askable(loader)
    # Whatever a dataset draws from may lie anywhere in it; torch's own seeds the other three in each worker.
    generators = {name: (each, drawn) for name, each, drawn in _generators(loader.dataset)}

    def answer(items: list[Any]) -> tuple[str, dict[str, str]]:
        states = {name: _state(each) for name, (each, _) in generators.items()}
        return _digest(items), states | _common_states()

    answers = list(_asked(loader, [[0]] * 4, workers=2, collate=answer))
    if len(answers) < 4:
        raise UntoldError("the loader's workers took too long for a sample")
    # Batches go to the workers in turn.
    (first, states), (other, other_states), (second, later), (other_second, other_later) = answers
    repeated = [
        name
        for name in states
        if states[name] == other_states[name] and later[name] == other_later[name] and states[name] != later[name]
    ]
    drawn = [generators[name][1] for name in repeated if name in generators]
    return WorkerRandomness(
        workers=loader.num_workers,
        random=first != second,
        alike=(first, second) == (other, other_second),
        repeated=tuple(repeated),
        where=next((each for each in drawn if each.line is not None), where),
    )


def further_labels(loader: DataLoader[Any] | None, path: Path, *, seen: int, label: int) -> FurtherLabels:
    """Ask a dataset that is read in its own order for the classes of samples that were not reached.

    Args:
        loader: whose batches hold the labels; None: it is not known.
        path: where in them.
        seen: samples that it gave.
        label: the class of all of these.
    Raises:
        UntoldError: it reads in another order, or cannot be asked.
    """
    if loader is None or order_of(loader) != "sequential":
        raise UntoldError("no loader that reads its dataset in order gave the labels")
    _is_askable(loader)
    samples = len(loader.dataset)  # type: ignore[arg-type]  # datasets that a sequential sampler reads have a length
    left = range(seen, samples)
    if not left:
        raise UntoldError("the steps saw every sample of the dataset")
    chosen = [0, *left[:: max(1, len(left) // ASKED)][:ASKED]]
    first, *labels = _asked(loader, [[each] for each in chosen], workers=1, collate=functools.partial(_label, path))
    if first != label:
        raise UntoldError("where the labels of a sample stand is not known")
    return FurtherLabels(samples=samples, asked=len(labels), others=sum(each != label for each in labels))


def _is_askable(loader: DataLoader[Any]) -> None:
    if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
        raise UntoldError("the dataset is a stream or makes its own batches, and cannot be asked for a sample")
    context = loader.multiprocessing_context
    method = multiprocessing.get_start_method() if context is None else context.get_start_method()
    if method != "fork":
        raise UntoldError("the loader's workers are not forks of the script")


def _asked(
    loader: DataLoader[Any], batches: list[list[int]], *, workers: int, collate: Callable[[list[Any]], Any]
) -> Iterator[Any]:
    """What workers of a loader answer, until they take too long."""
    with warnings.catch_warnings():
        # Of more workers than processors.
        warnings.simplefilter("ignore")
        again = DataLoader(
            loader.dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context="fork",
            timeout=SECONDS,
            generator=torch.Generator().manual_seed(SEED),
        )
        began = time.monotonic()
        iterator = iter(again)
        try:
            for each in iterator:
                yield each
                if time.monotonic() - began > SECONDS:
                    return
        except Exception as error:  # the dataset is the user's and may raise anything
            raise UntoldError(f"a worker of the loader could not be asked: {error}".splitlines()[0]) from error
        finally:
            iterator._shutdown_workers()  # type: ignore[attr-defined]  # not left to the collector: nothing is to hang


def _label(path: Path, items: list[Any]) -> int:
    item = items[0]
    for each in path:
        item = item[each]
    return int(item)


def _columns(batch: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    if isinstance(batch, Tensor):
        yield path, batch
    elif isinstance(batch, tuple | list | dict) and len(path) < 2:
        for name, each in batch.items() if isinstance(batch, dict) else enumerate(batch):
            yield from _columns(each, (*path, name))


def _digest(value: Any) -> str:
    numbers = hashlib.blake2b()
    for each in _bytes(value):
        numbers.update(each)
    return numbers.hexdigest()


def _bytes(value: Any) -> Iterator[bytes]:
    """The numbers that something holds."""
    if isinstance(value, Tensor):
        value = tuple(octets(each) for each in stored(value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        yield value.tobytes()
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _bytes(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield str(name).encode()
            yield from _bytes(each)
    elif isinstance(value, bytes):
        yield value
    else:
        yield pickle.dumps(value)


def _common_states() -> dict[str, str]:
    """Of the generators that each process has."""
    return {
        "random": _digest(repr(random.getstate())),
        "numpy.random": _digest(repr(np.random.get_state(legacy=False))),  # noqa: NPY002 - datasets draw from it
        "torch": _digest(torch.get_rng_state()),
    }


def _state(generator: Any) -> str:
    if isinstance(generator, torch.Generator):
        return _digest(generator.get_state())
    if isinstance(generator, random.Random):
        return _digest(repr(generator.getstate()))
    bits = generator.bit_generator.state if isinstance(generator, np.random.Generator) else generator.get_state()
    return _digest(repr(bits) if isinstance(bits, dict) else list(bits))


def _generators(dataset: Any) -> Iterator[tuple[str, Any, Where]]:
    """Random generators that a dataset can reach, by the names under which it does, and a line of the user's that does.

    Of attributes of the same object, those in its classes' own functions; of all else, in the functions themselves.
    """
    todo, seen = [("dataset", dataset, Where())], set[int]()
    while todo and len(seen) < MOST_OBJECTS:
        name, each, where = todo.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, _GENERATORS):
            yield name, each, where
        elif each is not None and not isinstance(each, _LEAVES):
            for part, value, line in _parts(name, each):
                todo.append((part, value, line if line.line is not None else where))


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any, Where]]:
    if isinstance(value, dict):
        for key, each in itertools.islice(value.items(), MOST_OF_ONE):
            yield f"{name}[{key!r}]", each, Where()
    elif isinstance(value, tuple | list | set | frozenset):
        for place, each in enumerate(itertools.islice(value, MOST_OF_ONE)):
            yield f"{name}[{place}]", each, Where()
    elif isinstance(value, functools.partial):
        yield from ((name, each, Where()) for each in (value.func, value.args, value.keywords))
    elif isinstance(value, types.MethodType):
        yield from ((name, each, Where()) for each in (value.__self__, value.__func__))
    elif isinstance(value, types.FunctionType):
        yield from _parts_of_function(name, value)
    else:
        yield from _parts_of_object(name, value)


def _parts_of_object(name: str, value: Any) -> Iterator[tuple[str, Any, Where]]:
    kinds = type(value).__mro__
    functions = [each for kind in kinds for each in vars(kind).values() if _is_own_function(each)]
    for key, each in getattr(value, "__dict__", {}).items():
        yield f"{name}.{key}", each, _loaded_at(functions, key)
    for kind in kinds:
        for key, each in vars(kind).items():
            if isinstance(each, _GENERATORS):
                yield f"{kind.__name__}.{key}", each, _loaded_at(functions, key)
    for each in functions:
        yield from _parts_of_function(name, each)


def _parts_of_function(name: str, value: types.FunctionType) -> Iterator[tuple[str, Any, Where]]:
    if not _is_own_function(value):
        return
    for free, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        if not _is_empty(cell):
            yield free, cell.cell_contents, _loaded_at([value], free)
    for key in value.__code__.co_names:
        if key in value.__globals__:
            yield key, value.__globals__[key], _loaded_at([value], key)
    yield from ((name, each, Where()) for each in value.__defaults__ or ())


def _is_own_function(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and is_own(value.__code__.co_filename)


def _loaded_at(functions: Iterable[types.FunctionType], name: str) -> Where:
    """The first line in which one of the user's functions reads a variable or an attribute."""
    for each in functions:
        for step in dis.get_instructions(each):
            if step.argval == name and step.opname.startswith("LOAD") and step.positions is not None:
                return line_of(each.__code__.co_filename, step.positions.lineno)
    return Where()


def _is_empty(cell: Any) -> bool:
    try:
        return cell.cell_contents is _is_empty
    except ValueError:
        return True
