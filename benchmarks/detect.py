"""`check` on scripts with one mistake each, and on healthy ones: what it finds, and where it cries wolf.

Writes results/detect.jsonl, a line a case, and detect-summary.jsonl, a line a half. Without --set-aside,
only the half that rules were developed on is run.

    python benchmarks/detect.py [--set-aside] [--only TEXT ...]
"""

import json
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faults.corpus import Case, corpus
from results import FOLDER, Results, arguments
from scipy.stats import binomtest

from trainwell.checking import check
from trainwell.core.errors import TrainwellError

SECONDS = 60.0
DEPENDS = (
    "src/trainwell/capture",
    "src/trainwell/checking.py",
    "src/trainwell/diagnosis",
    "src/trainwell/anatomy",
    "src/trainwell/training/observe.py",
)


def detect(case: Case) -> dict[str, Any]:
    """Check a case, and compare what is said with what should be."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{case.script}.py"
        file.write_text(case.text, "utf-8")
        figures: dict[str, Any] = {"code": case.code, "set_aside": case.set_aside, "exact": case.exact}
        try:
            found = check(str(file), seconds=SECONDS)
        except TrainwellError as error:
            return {**figures, "failed": str(error).replace(folder, "")}
    said = [each for each in found.diagnosis.findings if each.severity != "info"]
    headline = found.diagnosis.headline
    right = (case.code, *case.also)
    mine = next((each for each in said if each.code in right), None)
    lines_known = mine is not None and bool(case.lines)
    return {
        **figures,
        "said": [each.code for each in said],
        "headline": headline.code if headline else "",
        "detected": bool(said) if case.code else False,
        "root": headline is not None and headline.code in right if case.code else False,
        "place": (mine.where.line in case.lines) if lines_known and mine is not None else None,
        "taken": found.taken,
        "runs": found.runs,
        "seconds": round(found.seconds, 2),
        "trouble": found.heard.trouble,
        "error": found.heard.error[-300:],
    }


def harmless() -> set[str]:
    """Cases that `harm.py` has measured, and whose repaired script is not better with each seed: they count as none."""
    file = FOLDER / "harm.jsonl"
    lines = map(json.loads, file.read_text("utf-8").splitlines()) if file.is_file() else ()
    return {line["case"] for line in lines if line["better"] < line["seeds"]}


def summary(lines: list[dict[str, Any]], left_out: set[str]) -> dict[str, Any]:
    """Shares with their 95% intervals (Wilson), times, and misses by name."""
    faulty = [line for line in lines if line["code"] and line["case"] not in left_out]
    healthy = [line for line in lines if not line["code"]]
    alarms = [line for line in healthy if line.get("said") or "failed" in line]
    seconds = [line["seconds"] for line in lines if "seconds" in line]
    places = [line["place"] for line in faulty if line.get("place") is not None]
    return {
        "faulty": len(faulty),
        "healthy": len(healthy),
        "detected": share(sum(line.get("detected", False) for line in faulty), len(faulty)),
        "root": share(sum(line.get("root", False) for line in faulty), len(faulty)),
        "line": share(sum(places), len(places)),
        "alarms": share(len(alarms), len(healthy)),
        "thrown_out": sorted(line["case"] for line in lines if line["case"] in left_out),
        "crashes": sum("failed" in line or bool(line.get("trouble")) for line in lines),
        "median_seconds": statistics.median(seconds) if seconds else None,
        "p95_seconds": statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else None,
        "undetected": sorted(line["case"] for line in faulty if not line.get("detected")),
        "other_headline": sorted(
            f"{line['case']}: {line['headline']}" for line in faulty if line.get("detected") and not line["root"]
        ),
        "false_alarms": sorted(f"{line['case']}: {', '.join(line.get('said', ['failed']))}" for line in alarms),
    }


def share(hits: int, n: int) -> dict[str, Any]:
    """Of n, with its interval."""
    if n == 0:
        return {"n": 0}
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return {"n": n, "share": hits / n, "low": interval.low, "high": interval.high}


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--set-aside", action="store_true", help="the other half too: once, at the end")
    options.add_argument("--only", nargs="+", default=[], help="cases whose names hold one of these")
    options.add_argument("--at-once", type=int, default=2)
    chosen = options.parse_args()
    results = Results("detect", depends=DEPENDS, folder=chosen.results)
    cases = [
        case
        for case in corpus()
        if (chosen.set_aside or not case.set_aside)
        and (not chosen.only or any(text in case.name for text in chosen.only))
        and not results.has(case.name)
    ]
    with ThreadPoolExecutor(chosen.at_once) as pool:
        for case, figures in zip(cases, pool.map(detect, cases), strict=True):
            results.add(case.name, **figures)
    said = Results("detect-summary", depends=DEPENDS, folder=chosen.results)
    lines = results.lines()
    for half, aside in (("developed on", False), ("set aside", True)):
        mine = [line for line in lines if line["set_aside"] is aside]
        if mine:
            said.add(half, **summary(mine, harmless()))


if __name__ == "__main__":
    main()
