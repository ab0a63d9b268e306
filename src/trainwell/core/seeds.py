"""Seeds derived from seeds, so that every draw is a pure function of the run's seed and of where it is made.

A training that draws from one long stream can be resumed only with the stream's state; one that derives a seed for each
step needs nothing but the step number.
"""

import contextlib
import hashlib
from collections.abc import Iterator

import torch


def derive_seed(seed: int, *path: str | int) -> int:
    """A seed in [0, 2**63) from a parent seed and a path of names and numbers.

    Args:
        seed: the parent.
        path: where the draw is made, such as ("epoch", 3).
    Returns:
        The first 8 bytes of the BLAKE2b hash of parent and path, less the sign bit.
    Example:
        >>> derive_seed(0, "epoch", 1) == derive_seed(0, "epoch", 1)
        True
        >>> derive_seed(0, "epoch", 1) == derive_seed(0, "epoch", 2)
        False
    """
    text = "/".join([str(seed), *(str(part) for part in path)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *path: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator seeded with `derive_seed(seed, *path)`."""
    made = torch.Generator(device=device)
    made.manual_seed(derive_seed(seed, *path))
    return made


@contextlib.contextmanager
def seeded(seed: int, *path: str | int) -> Iterator[None]:
    """Torch's global generators seeded within, and as they were found after.

    Modules such as Dropout draw from the global generators and take no other: this is the only place that touches them.
    `torch.random.fork_rng` does the same at fifty times the cost (140 µs), too much for every step of a small network.
    """
    generators = [torch.default_generator]
    if torch.cuda.is_available():
        generators += list(torch.cuda.default_generators)
    states = [each.get_state() for each in generators]
    for each in generators:
        each.manual_seed(derive_seed(seed, *path))
    try:
        yield
    finally:
        for each, state in zip(generators, states, strict=True):
            each.set_state(state)
