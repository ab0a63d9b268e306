"""Time and peak memory against the number of images and of rows.

Images: PNG files of 32 x 32 in ten class folders, made once; `prepare` (found, decoded, searched for copies, split) and
one epoch of the one loop over what it prepared. Rows: a CSV file of mixed types; `prepare`. Each case in a process of
its own.

Memory is what the process itself holds: `peak_mib` is the largest anonymous resident memory, sampled every 5 ms, less
what the libraries hold before any data. Pages of the memory-mapped cache are the system's, which drops them when it
needs the room; `peak_resident_mib` (getrusage) counts them too.

Writes results/scale.jsonl: a line a size, and for each kind the slope of log seconds against log n (1 is linear) over
all sizes and over the larger half of them, and how the memory grows from the smallest to the largest size.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from results import Results, arguments

DEPENDS = (
    "benchmarks/scale.py",
    "src/trainwell/data",
    "!src/trainwell/data/features.py",
    "src/trainwell/training/loop.py",
    "src/trainwell/training/batches.py",
)
IMAGES = (1_000, 3_000, 10_000, 30_000, 100_000)
ROWS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
SAMPLED_EVERY_SECONDS = 0.005


def make_images(folder: Path, count: int) -> None:
    """Pictures of ten classes, numbered from 0: a larger set begins with the smaller one's.

    Each is a coarse pattern of its own under noise, since photographs differ coarsely too. In noise alone all are alike
    from afar, and the search for copies has more to compare.
    """
    import numpy as np
    from PIL import Image

    for label in range(10):
        (folder / f"class {label}").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        draw = np.random.default_rng(i)
        pattern = draw.integers(0, 100, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        picture = pattern + draw.integers(0, 40, (32, 32, 3), dtype=np.uint8) + np.uint8(12 * (i % 10))
        Image.fromarray(picture).save(folder / f"class {i % 10}" / f"{i:06}.png", compress_level=1)


def make_rows(file: Path, count: int) -> None:
    """A table of numbers with gaps, categories, booleans, dates and an identifier."""
    import numpy as np
    import polars as pl

    draw = np.random.default_rng(0)
    width, height = draw.normal(size=count), draw.normal(10, 3, size=count)
    frame = pl.DataFrame(
        {
            "id": np.arange(count),
            "width": width,
            "height": pl.Series(height).set(pl.Series(draw.random(count) < 0.1), None),
            "weight": draw.integers(0, 500, count),
            "colour": draw.choice(["red", "green", "blue"], count),
            "town": [f"town {i}" for i in draw.integers(0, 200, count)],
            "is new": draw.random(count) < 0.3,
            "made": pl.Series((draw.integers(10_000, 19_000, count)).astype("int32")).cast(pl.Date),
            "kind": np.where(width + draw.normal(size=count) > 0, "wide", "narrow"),
        }
    )
    frame.write_csv(file)


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Fills in seconds, processor seconds and memory of what is done within."""
    found: dict[str, float] = {}
    before, peak = anonymous_mib(), [0.0]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLED_EVERY_SECONDS):
            peak[0] = max(peak[0], anonymous_mib())

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    began, began_cpu = time.perf_counter(), time.process_time()
    try:
        yield found
    finally:
        found["seconds"] = time.perf_counter() - began
        found["cpu_seconds"] = time.process_time() - began_cpu
        done.set()
        watcher.join()
        found["peak_mib"] = max(peak[0], anonymous_mib()) - before
        found["peak_resident_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def anonymous_mib() -> float:
    """Resident memory that is no file's, in MiB."""
    with Path("/proc/self/status").open() as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status must name RssAnon; this benchmark runs on Linux.")


def prepare_images(folder: Path, cache: Path) -> dict[str, float]:
    from trainwell.data.prepare import prepare

    with measured() as found:
        prepare(folder, cache=cache)
    return found


def prepare_rows(file: Path, cache: Path) -> dict[str, float]:
    from trainwell.data.prepare import prepare

    with measured() as found:
        prepare(file, target="kind", cache=cache)
    return found


def one_epoch(folder: Path, cache: Path) -> dict[str, float]:
    """A linear network: what grows is the loop and the reading of batches."""
    import torch
    from torch import nn

    from trainwell.data.prepare import prepare
    from trainwell.training.batches import Batches
    from trainwell.training.loop import train

    dataset = prepare(folder, cache=cache)
    model = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(dataset.record.input.shape), 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def as_floats(inputs: Any, targets: Any, chosen: Any, step: int) -> tuple[Any, Any]:  # noqa: ARG001 - a Change
        return inputs.float() / 255, targets

    batches = Batches(
        inputs=dataset.inputs,
        targets=dataset.targets,
        index=dataset.parts["train"],
        batch_size=128,
        seed=0,
        change=as_floats,
    )
    # What every training holds: the first steps allocate it.
    loss = nn.CrossEntropyLoss()
    for _ in train(model, batches, loss=loss, optimizer=optimizer, schedule=_rate, until_step=3, seed=0):
        pass
    steps = batches.steps_per_epoch
    with measured() as found:
        for _ in train(model, batches, loss=loss, optimizer=optimizer, schedule=_rate, until_step=steps, seed=0):
            pass
    return found


def _rate(_: int) -> float:
    return 1e-3


def slope(counts: Sequence[int], seconds: Sequence[float]) -> float:
    """Of log seconds against log n, by least squares: 1 is linear."""
    x, y = [math.log(count) for count in counts], [math.log(value) for value in seconds]
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    over = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    return over / sum((a - mean_x) ** 2 for a in x)


def summary(counts: Sequence[int], found: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Slopes of time, and growth of memory."""
    seconds, memory = [each["seconds"] for each in found], [each["peak_mib"] for each in found]
    half = len(counts) // 2
    return {
        "counts": list(counts),
        "seconds": seconds,
        "peak_mib": memory,
        "slope": slope(counts, seconds),
        "slope_of_the_larger": slope(counts[half:], seconds[half:]),
        "memory_slope_of_the_larger": slope(counts[half:], [max(each, 1.0) for each in memory[half:]]),
        "memory_growth_mib": memory[-1] - memory[0],
        "bytes_a_sample": (memory[-1] - memory[0]) * 2**20 / (counts[-1] - counts[0]),
    }


def in_a_process(case: str, data: Path, cache: Path, threads: int) -> dict[str, float]:
    """One case, alone in a process."""
    done = subprocess.run(
        [sys.executable, __file__, "--case", case, "--data", str(data), "--cache", str(cache)],
        env=os.environ | {"OMP_NUM_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{case} of {data} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def series(kinds: Sequence[str], counts: Sequence[int], folder: Path, results: Results, options: Any) -> None:
    """All sizes of the kinds that share their data."""
    for count in counts:
        names = {kind: f"{kind} n={count}" for kind in kinds}
        if all(results.has(name) for name in names.values()):
            continue
        data = folder / (f"images-{count}" if "images" in kinds[0] else f"rows-{count}.csv")
        if not data.exists():
            (make_images if "images" in kinds[0] else make_rows)(data, count)
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            for kind, name in names.items():
                each = in_a_process(kind, data, Path(cache), options.threads)
                if not results.has(name):
                    results.add(name, n=count, threads=options.threads, **each)
    for kind in kinds:
        lines = {line["case"]: line for line in results.lines()}
        if kind not in lines and len(counts) > 1:
            results.add(kind, **summary(counts, [lines[f"{kind} n={count}"] for count in counts]))


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--images", type=int, nargs="*", default=IMAGES)
    options.add_argument("--rows", type=int, nargs="*", default=ROWS)
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--folder", type=Path, help="for the data, which is kept there; else a temporary one")
    options.add_argument("--case", choices=sorted(CASES), help=argparse.SUPPRESS)
    options.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.case:
        print(json.dumps(CASES[chosen.case](chosen.data, chosen.cache)))
        return
    results = Results("scale", depends=DEPENDS, folder=chosen.results)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        series(("prepare images", "epoch of images"), chosen.images, folder, results, chosen)
        series(("prepare rows",), chosen.rows, folder, results, chosen)


CASES = {"prepare images": prepare_images, "prepare rows": prepare_rows, "epoch of images": one_epoch}
"""What is measured: (data, cache) -> figures."""


if __name__ == "__main__":
    main()
