"""fit against scikit-learn's MLP and HistGradientBoosting and pytabkit's RealMLP-TD on identical splits.

The peers have their default settings; scikit-learn's MLP is given 1,000 iterations and, in regression, scaled targets,
since it does not converge without.

Writes results/accuracy.jsonl, a line a split and contender, and results/accuracy-summary.jsonl, a line a table: the
mean paired difference from the peer that is best there, with the lower bound of its 90% interval (t, over the splits).
scikit-learn's digits, fitted beside them, stand in results/digits.jsonl.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, stdev
from unittest import mock

import tables
from results import FIT, PRETRAINED_ALONE, Results, arguments

PEERS = ("MLP", "HistGradientBoosting", "RealMLP-TD")
REPEATS = {"wine": 100, "breast_cancer": 30, "diabetes": 10, "churn": 10, "loans": 10, "storms": 10}
"""More of small tables that are scored by accuracy: one of wine's 36 test rows is 0.03 of it."""
WITHOUT = 3
"""Seeds of digits that are fitted without a pretrained network too."""
FIRST = 10
"""The summary says also what the first ten splits alone say."""
BUDGETS = {"wine": 30.0, "breast_cancer": 30.0, "diabetes": 30.0, "churn": 60.0, "loans": 60.0, "storms": 60.0}
DEPENDS = (*FIT, *PRETRAINED_ALONE, "src/trainwell/data", "src/trainwell/augmentation")
DIGITS_DEPEND = (*FIT, "src/trainwell/data", "src/trainwell/augmentation")
PEERS_DEPEND = ("benchmarks/tables.py", "benchmarks/table_peers.py")


def ours(name: str, repeat: int) -> dict[str, float]:
    """fit on all training rows, as its peers; the test rows are its test part, which decides nothing."""
    from trainwell.verbs import fit

    frame, test = tables.split(tables.load(name), name, repeat)
    with tempfile.TemporaryDirectory() as runs:
        began = time.perf_counter()
        budget = BUDGETS[name]
        found = fit(frame, target=tables.TARGET, test=test, budget_seconds=budget, seed=repeat, runs=Path(runs))
        seconds = time.perf_counter() - began
        predictions = found.model.predict(test.drop(columns=tables.TARGET))
    said = [each.values[0] if each.values else each.label for each in predictions]
    threads = found.record.settings.threads
    return {"metric": tables.metric(name, test[tables.TARGET], said), "seconds": seconds, "threads": threads}


def digits(seed: int) -> dict[str, float]:
    """fit on scikit-learn's digits; its own split and test part; beside it as where no pretrained network is installed.

    `asking_seconds` is what it takes to find out that a pretrained network does not help here.
    """
    from trainwell.core.records.evidence import TransferDecision
    from trainwell.verbs import fit

    with tempfile.TemporaryDirectory() as runs:
        began = time.perf_counter()
        found = fit("digits", budget_seconds=60.0, seed=seed, runs=Path(runs))
        seconds = time.perf_counter() - began
        asked = [each for each in found.record.evidence if isinstance(each.detail[0], TransferDecision)]
        figures = {
            "metric": found.result.test.value,
            "seconds": seconds,
            "asking_seconds": sum(each.seconds for each in asked),
            "threads": found.record.settings.threads,
        }
        if seed < WITHOUT:
            with mock.patch("trainwell.recipe.transfer.available_backbones", return_value=()):
                figures["without"] = fit("digits", budget_seconds=60.0, seed=seed, runs=Path(runs)).result.test.value
        return figures


def theirs(python: str, name: str, repeat: int, label: str) -> dict[str, float]:
    """A peer in its own environment."""
    script = Path(__file__).with_name("table_peers.py")
    done = subprocess.run(
        [python, str(script), name, str(repeat), label], capture_output=True, text=True, check=True, cwd=script.parent
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def against_best(by: dict[str, dict[int, float]]) -> dict[str, object] | None:
    """One table: contender -> split -> metric in, the paired difference from the best peer out."""
    from scipy import stats

    means = {who: fmean(by[who].values()) for who in PEERS if by.get(who)}
    mine = by.get("fit", {})
    if not means or not mine:
        return None
    best = max(means, key=lambda who: means[who])
    gaps = [mine[repeat] - by[best][repeat] for repeat in sorted(mine.keys() & by[best].keys())]
    error = stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
    return {
        "fit": fmean(mine.values()),
        "peers": means,
        "best_peer": best,
        "difference": fmean(gaps),
        "lower_90": fmean(gaps) - float(stats.t.ppf(0.95, max(len(gaps) - 1, 1))) * error,
        "n": len(gaps),
    }


def summary(lines: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """Paired differences from the best peer of each table, over all splits and over the first ten."""
    by: dict[str, dict[str, dict[int, float]]] = {}
    for line in lines:
        of_table = by.setdefault(str(line["table"]), {}).setdefault(str(line["who"]), {})
        of_table[int(str(line["repeat"]))] = float(str(line["metric"]))
    found: dict[str, dict[str, object]] = {}
    for name in tables.NAMES:
        whole = against_best(by.get(name, {}))
        if whole is None:
            continue
        first = {
            who: {repeat: metric for repeat, metric in metrics.items() if repeat < FIRST}
            for who, metrics in by[name].items()
        }
        found[name] = {**whole, "first_10": against_best(first)}
    return found


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--peers", default=sys.executable, help="a Python with requirements.txt installed")
    options.add_argument(
        "--repeats", type=int, help="default " + ", ".join(f"{name} {n}" for name, n in REPEATS.items())
    )
    options.add_argument("--tables", nargs="*", default=list(tables.NAMES))
    options.add_argument("--first", type=int, default=0, help="first repeat")
    options.add_argument("--only", choices=("fit", "peers"), help="measure only these")
    options.add_argument("--seeds", type=int, default=5, help="of digits")
    chosen = options.parse_args()
    results = Results("accuracy", depends=DEPENDS, folder=chosen.results)
    # Whether pictures are trained from scratch, a pretrained network is asked first: digits depend on it too.
    pictures = Results("digits", depends=DIGITS_DEPEND, folder=chosen.results)
    peers = Results("accuracy-peers", depends=PEERS_DEPEND, folder=chosen.results)
    for name in chosen.tables:
        wanted = REPEATS[name] if chosen.repeats is None else chosen.repeats
        for repeat in range(chosen.first, chosen.first + wanted):
            for who in PEERS:
                case = f"{name} {repeat} {who}"
                if chosen.only != "fit" and not peers.has(case):
                    figures = theirs(chosen.peers, name, repeat, who)
                    peers.add(case, table=name, repeat=repeat, who=who, **figures)
            case = f"{name} {repeat} fit"
            if chosen.only != "peers" and not results.has(case):
                results.add(case, table=name, repeat=repeat, who="fit", **ours(name, repeat))
    for seed in range(0 if chosen.only == "peers" else chosen.seeds):
        case = f"digits {seed} fit"
        if not pictures.has(case):
            pictures.add(case, repeat=seed, **digits(seed))
    own = [line["metric"] for line in pictures.lines() if line["case"] != "mean"]
    if own:
        lines = [line for line in pictures.lines() if line["case"] != "mean"]
        both = [(line["metric"], line["without"]) for line in lines if "without" in line]
        pictures.add(
            "mean",
            mean=fmean(own),
            values=own,
            n=len(own),
            asking_seconds=max(line["asking_seconds"] for line in lines),
            paired={
                "n": len(both),
                "with": fmean(one for one, _ in both) if both else math.nan,
                "without": fmean(other for _, other in both) if both else math.nan,
            },
        )
    summaries = Results("accuracy-summary", depends=(*DEPENDS, *PEERS_DEPEND), folder=chosen.results)
    for name, found in summary([*results.lines(), *peers.lines()]).items():
        summaries.add(name, **found)


if __name__ == "__main__":
    main()
