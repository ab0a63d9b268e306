"""`check --fix` on scripts with one mistake each: which remedies it proves, and what they are worth to the end.

Writes results/repair.jsonl, a line a case. A remedy that is tried takes three seeds; one that is proven as a change of
the text is then run to the script's end with others, beside the script as it was, and the held-out losses compared.
Without --set-aside, only the half that rules were developed on is run.

    python benchmarks/repair.py [--set-aside] [--only TEXT ...] [--every N]
"""

import math
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from detect import DEPENDS, SECONDS, share
from faults.corpus import Case, corpus
from harm import held_out
from results import Results, arguments

from trainwell.capture.patches import patch_for
from trainwell.checking import check
from trainwell.core.errors import TrainwellError
from trainwell.core.records.finding import Finding

SEEDS = range(11, 16)
"""None of which a check takes."""


def repair(case: Case) -> dict[str, Any]:
    """What is tried for a case's headline, and how far it helps."""
    figures: dict[str, Any] = {"code": case.code, "set_aside": case.set_aside}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{case.script}.py"
        file.write_text(case.text, "utf-8")
        try:
            found = check(str(file), seconds=SECONDS, fix=True).diagnosis.headline
        except TrainwellError as error:
            return {**figures, "failed": str(error).replace(folder, "")}
        if found is None or not found.remedies:
            return {**figures, "headline": found.code if found else "", "tried": False}
        remedy = found.remedies[0]
        figures |= {
            "headline": found.code,
            "tried": remedy.proven or bool(remedy.unproven),
            "proven": remedy.proven,
            "unproven": remedy.unproven,
            "patch": remedy.patch.replace(folder, ""),
            "loss_before": remedy.loss_before,
            "loss_after": remedy.loss_after,
        }
        return figures | (_to_the_end(case, found) if remedy.proven else {})


def _to_the_end(case: Case, finding: Finding) -> dict[str, Any]:
    """Held-out losses of both texts with fresh seeds; nothing where the remedy is no change of the text."""
    patch = patch_for(finding)
    if patch is None:
        return {}
    before = [held_out(case.script, case.text, seed) for seed in SEEDS]
    after = [held_out(case.script, patch.after, seed) for seed in SEEDS]
    gains = [min(one, 1e30) - other for one, other in zip(before, after, strict=True)]
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    mean = statistics.fmean(gains)
    return {
        "at_the_end": {
            "before": before,
            "after": after,
            "better": mean > 2 * error or (math.isinf(before[0]) and math.isfinite(after[0])),
            "worse": -mean > 2 * error,
        }
    }


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares with their 95% intervals."""
    tried = [line for line in lines if line.get("tried")]
    proven = [line for line in tried if line["proven"]]
    ends = [line["at_the_end"] for line in proven if "at_the_end" in line]
    return {
        "cases": len(lines),
        "proven_of_tried": share(len(proven), len(tried)),
        "better_at_the_end": share(sum(each["better"] for each in ends), len(ends)),
        "worse_at_the_end": sum(each["worse"] for each in ends),
        "unproven": sorted(f"{line['case']}: {line['unproven']}" for line in tried if not line["proven"]),
        "failed": sum("failed" in line for line in lines),
    }


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--set-aside", action="store_true", help="the other half too: once, at the end")
    options.add_argument("--only", nargs="+", default=[], help="cases whose names hold one of these")
    options.add_argument("--every", type=int, default=1, help="of the cases, each N-th")
    chosen = options.parse_args()
    results = Results("repair", depends=DEPENDS, folder=chosen.results)
    cases = [
        case
        for case in corpus()
        if case.code
        and (chosen.set_aside or not case.set_aside)
        and (not chosen.only or any(text in case.name for text in chosen.only))
    ][:: chosen.every]
    cases = [case for case in cases if not results.has(case.name)]
    with ThreadPoolExecutor(2) as pool:
        for case, figures in zip(cases, pool.map(repair, cases), strict=True):
            results.add(case.name, **figures)
    said = Results("repair-summary", depends=DEPENDS, folder=chosen.results)
    for half, aside in (("developed on", False), ("set aside", True)):
        mine = [line for line in results.lines() if line["set_aside"] is aside]
        if mine:
            said.add(half, **summary(mine))


if __name__ == "__main__":
    main()
