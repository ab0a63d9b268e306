"""Does each fault of the corpus matter? Its script and the repaired one, with the same seeds and steps, to their ends.

Writes results/harm.jsonl, a line a case whose fault is not exact: the held-out loss of both with each seed, and with
how many of them the repaired one's is lower. What the run itself proves (a shape, a missing step) is left out.

    python benchmarks/harm.py [--only TEXT ...]
"""

import hashlib
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from faults.corpus import Case, corpus, twin_of
from results import Results, arguments

SEEDS = 5
SECONDS = 600.0
"""Of one run: each takes a few."""
DEPENDS = ("benchmarks/harm.py",)
"""And each line on the texts of its two scripts."""
_LOSS = re.compile(r"held-out loss (\S+)")


def held_out(script: str, text: str, seed: int) -> float:
    """The loss that a script prints at its end; infinite where it is lost or the script does not get there."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{script}.py"
        file.write_text(text, "utf-8")
        done = subprocess.run(
            [sys.executable, str(file), "--seed", str(seed)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    said = _LOSS.findall(done.stdout)
    loss = float(said[-1]) if said else math.inf
    return loss if math.isfinite(loss) else math.inf


@cache
def repaired(script: str, text: str, seed: int) -> float:
    """The same of the script without its fault, once."""
    return held_out(script, text, seed)


def scripts_of(case: Case) -> str:
    """Which two texts were run."""
    return hashlib.blake2b(f"{case.text}\0{twin_of(case)}".encode(), digest_size=12).hexdigest()


def harm(case: Case) -> dict[str, Any]:
    """Both losses, seed by seed."""
    with_, without = [], []
    for seed in range(SEEDS):
        without.append(repaired(case.script, twin_of(case), seed))
        with_.append(held_out(case.script, case.text, seed))
    return {
        "code": case.code,
        "set_aside": case.set_aside,
        "scripts": scripts_of(case),
        "with_fault": with_,
        "repaired": without,
        "better": sum(one < other for one, other in zip(without, with_, strict=True)),
        "seeds": SEEDS,
        "median_with_fault": statistics.median(with_),
        "median_repaired": statistics.median(without),
    }


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--only", nargs="+", default=[], help="cases whose names hold one of these")
    options.add_argument("--at-once", type=int, default=2)
    chosen = options.parse_args()
    results = Results("harm", depends=DEPENDS, folder=chosen.results)
    measured = {(line["case"], line["scripts"]) for line in results.lines()}
    cases = [
        case
        for case in corpus()
        if case.code
        and not case.exact
        and (not chosen.only or any(text in case.name for text in chosen.only))
        and (case.name, scripts_of(case)) not in measured
    ]
    with ThreadPoolExecutor(chosen.at_once) as pool:
        for case, figures in zip(cases, pool.map(harm, cases), strict=True):
            results.add(case.name, **figures)


if __name__ == "__main__":
    main()
