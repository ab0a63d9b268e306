"""Which precision is faster on this machine, by measurement."""

from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter

import torch

from trainwell.core.records.trial import Precision

FASTER = 1.1
"""bfloat16 is chosen where it is at least this many times as fast: its noise is not worth less."""
RUNS = 5
"""Each is timed so often, after two that pay for allocation and for choosing kernels."""
FIRST_SECONDS = 0.5
"""A first run may take so long for choosing kernels."""
SECONDS = 1.0
"""No further run begins after so many seconds."""


def knows_bfloat16(device: str | torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; where a processor has to imitate it, no measurement is needed.

    Args:
        device: cpu, cuda, mps.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return kind != "mps"


def faster_precision(work: Callable[[Precision], Iterator[object]]) -> Precision:
    """bfloat16 where the same work is done faster with it, else float32.

    A processor that has to imitate bfloat16 takes ten times as long: the first runs show it, and no more are made.

    Args:
        work: precision -> an iterator, each step of which does the work once.
    """
    plain = _seconds(work("float32"), give_up_above=float("inf"))
    half = _seconds(work("bfloat16"), give_up_above=plain)
    return "bfloat16" if plain > FASTER * half else "float32"


def _seconds(runs: Iterator[object], *, give_up_above: float) -> float:
    """Median seconds of a run; of the first where that alone is hopeless."""
    began = before = perf_counter()
    times = []
    for _ in runs:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = perf_counter()
        times.append(now - before)
        before = now
        hopeless = times[-1] > 4 * give_up_above and (len(times) > 1 or times[-1] > FIRST_SECONDS)
        if hopeless or len(times) == RUNS + 2 or (now - began > SECONDS and len(times) >= 2):
            break
    return median(times[2:] or times[-1:])
