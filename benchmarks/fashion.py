"""fit on all of Fashion-MNIST in ten minutes: 60,000 pictures, its own test set.

The data: `apt-get install dataset-fashion-mnist`.

Writes results/fashion.jsonl: accuracy on the 10,000 test pictures with its interval, seconds, and what was kept.
"""

import tempfile
import time
from pathlib import Path

from results import FIT, PRETRAINED_ALONE, TABLES_ALONE, Results, arguments

DATA = Path("/usr/share/datasets/fashion-mnist")
DEPENDS = (*FIT, *PRETRAINED_ALONE, *TABLES_ALONE, "src/trainwell/augmentation")


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--budget", type=float, default=600.0, help="seconds")
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--data", type=Path, default=DATA)
    chosen = options.parse_args()
    results = Results("fashion", depends=DEPENDS, folder=chosen.results)
    from trainwell.verbs import fit

    for seed in range(chosen.seeds):
        case = f"budget={chosen.budget:g}s seed={seed}"
        if results.has(case):
            continue
        with tempfile.TemporaryDirectory() as runs:
            began = time.perf_counter()
            found = fit(chosen.data, budget_seconds=chosen.budget, seed=seed, runs=Path(runs))
            seconds = time.perf_counter() - began
            results.add(
                case,
                accuracy=found.result.test.value,
                interval=found.result.test.interval,
                n=found.result.test.n,
                seconds=seconds,
                precision=found.record.settings.precision,
                threads=found.record.settings.threads,
                best=str(found.result.best),
                headline=found.result.headline,
                verdicts=[line.verdict for line in found.result.steps],
            )


if __name__ == "__main__":
    main()
