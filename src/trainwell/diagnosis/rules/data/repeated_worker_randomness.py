"""What it sees: a DataLoader whose workers all draw the same random numbers.

Why it hurts: what is drawn in one worker is drawn in all others again: with four workers, each augmentation, crop and
noise occurs four times. A generator that the dataset holds is copied into new workers at each epoch, so that each epoch
repeats the first one, too.

Evidence: after the last step two workers are made as the loader makes them, with their own seeds and its
`worker_init_fn`, and each is asked twice for the same sample. Within a worker the answers differ; between the workers
they do not, or a generator that moves on with each answer stands alike in both. `random`, `numpy.random` and torch's
own generator are seeded anew in each worker by torch and are no cause, unless `worker_init_fn` seeds them alike. The
line is the one that draws from the generator, or that made the loader.

Remedy: draw from torch's generator (`torch.randint`), or make the generator in each worker, from
`torch.utils.data.get_worker_info().seed`. Safe: the numbers become others, and as random as they were meant to be.

References: PyTorch, torch.utils.data, "Randomness in multi-process data loading"; Pärnamaa 2021, Using PyTorch + NumPy?
You're making a mistake.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule

LEAST = 2
"""Workers that must draw alike: one alone has nobody to repeat."""

COMMON = ("random", "numpy.random", "torch")
"""Generators that torch seeds in each worker."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the answers of two workers, and the generators that they drew from."""
    seen = observation.workers
    if seen is None or seen.workers < LEAST or not seen.random:
        return ()
    own = [name for name in seen.repeated if name not in COMMON]
    # What all workers have in common tells nothing where the answers differ: they need not come from it.
    common = [name for name in seen.repeated if name in COMMON] if seen.alike else []
    if not own and not common:
        return ()
    answers = "gave the same two different answers" if seen.alike else f"had drawn the same numbers from `{own[0]}`"
    message = (
        f"The {seen.workers} workers of the loader draw the same random numbers: two of them, each asked twice for "
        f"sample 0, {answers}."
    )
    if own:
        cause = f"The random generator `{own[0]}` exists before the workers do, and each gets a copy of it."
        text = "Make the generator in each worker: `np.random.default_rng(torch.utils.data.get_worker_info().seed)`."
    else:
        cause = f"Each worker seeds `{common[0]}` with the same number."
        text = "Seed each worker by its own number: `worker_init_fn` may use `torch.initial_seed() % 2**32`."
    return (
        RULE.finding(
            "error",
            message,
            evidence={"workers": seen.workers, "generators": len(own or common), "alike": seen.alike},
            cause=cause,
            remedies=(Remedy(text=text),),
            where=seen.where,
        ),
    )


RULE = Rule(
    code="DAT010",
    name="repeated-worker-randomness",
    needs=("workers",),
    find=find,
    page=__doc__ or "",
)
