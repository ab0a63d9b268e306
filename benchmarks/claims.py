"""Every claim of the lecture notes, measured: `trainwell figures --claims` with what a reader needs to judge it.

Writes results/claims.jsonl, a line a claim: conditions with mean, spread, interval and n, seeds, verdict, versions,
processor. Some eight minutes of processor time; a claim that is there is not measured again.
"""

import time

from results import Results, arguments

DEPENDS = (
    "src/trainwell/lecture/claims",
    "src/trainwell/lecture/datasets.py",
    "src/trainwell/lecture/figures/initialization.py",
    "src/trainwell/activations",
    "src/trainwell/preprocessing",
    "src/trainwell/initialization",
    "src/trainwell/regularization",
    "src/trainwell/augmentation",
    "src/trainwell/schedules.py",
    "src/trainwell/transfer.py",
    "src/trainwell/training/loop.py",
    "src/trainwell/training/batches.py",
    "src/trainwell/training/objective.py",
    "src/trainwell/training/observe.py",
    "src/trainwell/training/optimizer.py",
)


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--only", nargs="*", default=[], help="names of claims")
    chosen = options.parse_args()
    import torch

    from trainwell.core.jsonio import to_plain
    from trainwell.lecture.claims.measuring import measure_claims
    from trainwell.lecture.claims.table import CLAIMS

    torch.set_num_threads(1)
    results = Results("claims", depends=DEPENDS, folder=chosen.results)
    for name in chosen.only or CLAIMS:
        if results.has(name):
            continue
        start = time.process_time()
        for result in measure_claims([name]):
            figures = {key: value for key, value in to_plain(result).items() if key != "name"}
            results.add(name, **figures, cpu_seconds=time.process_time() - start)


if __name__ == "__main__":
    main()
