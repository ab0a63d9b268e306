"""fit on small picture sets, 20 pictures a class to train on, a minute each, against two peers on identical splits.

They are logistic regression on the same frozen features, and fastai's fine_tune of the same network. The sets are
assembled from Debian's packages by `picture_sets.py`; splits 0 to 9 are measured, others were developed on. All four as
one are a fifth, of 2,000 pictures and 44 classes, on which a pass of the network takes 20 seconds: three splits of it
show how long the rest takes.

Writes results/transfer.jsonl, transfer-logistic.jsonl and transfer-fastai.jsonl, a line a split, and
transfer-summary.jsonl, a line a set: means, the mean paired differences with their 95% intervals (t, over the
splits), the cell of the notes' table that was chosen, seconds by stage, what the search for an output layer takes in
passes of the network, and what finding out whether it helps takes of the budget.

    python benchmarks/transfer.py --fastai /path/to/peers/bin/python
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import picture_sets
from results import FIT, Results, arguments

BUDGET = 60.0
REPEATS = 10
TOGETHER = "together"
TOGETHER_REPEATS = 3
DEPENDS = (
    *FIT,
    "src/trainwell/data",
    "src/trainwell/transfer.py",
    "benchmarks/picture_sets.py",
)
FASTAI_DEPENDS = ("benchmarks/picture_sets.py", "benchmarks/transfer_peers.py")
LOGISTIC_DEPENDS = (
    *FASTAI_DEPENDS,
    "src/trainwell/data/images.py",
    "src/trainwell/models/pretrained.py",
    "src/trainwell/models/backbones.py",
    "src/trainwell/models/efficientnet_lite.py",
)


def child(split: Path) -> None:
    """One fit, in a process of its own: what it reached, and the most memory that it held."""
    from trainwell.core.records.evidence import TransferDecision
    from trainwell.verbs import fit

    with tempfile.TemporaryDirectory() as runs:
        found = fit(split / "train", test=split / "test", budget_seconds=BUDGET, seed=0, runs=Path(runs))
        evidence = found.record.evidence
        decisions = [each for visit in evidence for each in visit.detail if isinstance(each, TransferDecision)]
        stages: dict[str, float] = {}
        for visit in evidence:
            name = "decide" if isinstance(visit.detail[0], TransferDecision) else visit.name
            stages[name] = stages.get(name, 0.0) + visit.seconds
        stages["train to the end, test, report"] = found.result.seconds - sum(stages.values())
        decision = decisions[0]
        said = {
            "accuracy": found.result.test.value,
            "interval": found.result.test.interval,
            "n": found.result.test.n,
            "taken": decision.taken,
            "cell": f"{decision.amount}, similarity {decision.similarity:.2f}",
            "probe": decision.probe,
            "scratch": decision.scratch,
            "pass_seconds": decision.pass_seconds,
            "stages": stages,
            "peak_mib": peak_mib(),
            "threads": found.record.settings.threads,
        }
    print(json.dumps(said))


def peak_mib() -> float:
    """The most resident memory of this process. getrusage's figure would begin at what the starting process held."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(*command: str) -> dict[str, Any]:
    """A contender in its own process: what it says, and seconds from command to end."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "seconds": time.perf_counter() - began}


def together(to: Path) -> Path:
    """All sets as one folder, of links to their files."""
    folder = to / TOGETHER
    if not folder.is_dir():
        unfinished = to / f".{TOGETHER}"
        shutil.rmtree(unfinished, ignore_errors=True)
        for name in picture_sets.SETS:
            for file in picture_sets.build(name, to).glob("*/*.png"):
                label = unfinished / f"{name}-{file.parent.name}"
                label.mkdir(parents=True, exist_ok=True)
                os.link(file, label / file.name)
        unfinished.rename(folder)
    return folder


def summary(name: str, lines: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """One set: what the contenders reached on the splits that were measured."""
    mine = {case: line for case, line in lines.items() if case.startswith(f"{name} fit ")}
    if not mine:
        return None
    made: dict[str, Any] = {
        "n": len(mine),
        "fit": fmean(line["accuracy"] for line in mine.values()),
        "taken": dict(Counter(line["taken"] for line in mine.values())),
        "cells": sorted({line["cell"] for line in mine.values()}),
        "seconds": median(line["seconds"] for line in mine.values()),
        "longest_seconds": max(line["seconds"] for line in mine.values()),
        "pass_seconds": median(line["pass_seconds"] for line in mine.values()),
        "peak_mib": max(line["peak_mib"] for line in mine.values()),
        "heads_in_passes": median(
            line["stages"].get("coarse-grid", 0.0) / line["pass_seconds"] for line in mine.values()
        ),
        "asking_share": max(line["stages"].get("decide", 0.0) / BUDGET for line in mine.values()),
        "stages": {
            stage: median(line["stages"].get(stage, 0.0) for line in mine.values())
            for stage in next(iter(mine.values()))["stages"]
        },
    }
    for peer in ("logistic", "fastai"):
        pairs = [
            (line["accuracy"], lines[other]["accuracy"])
            for case, line in mine.items()
            if (other := case.replace(" fit ", f" {peer} ")) in lines
        ]
        if pairs:
            made[peer] = against(pairs)
    return made


def against(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Mean paired difference, with its 95% interval."""
    from scipy import stats

    gaps = [mine - theirs for mine, theirs in pairs]
    mean = fmean(gaps)
    interval = None
    if len(gaps) > 1:
        half = float(stats.t.ppf(0.975, len(gaps) - 1)) * stdev(gaps) / math.sqrt(len(gaps))
        interval = [mean - half, mean + half]
    return {
        "n": len(gaps),
        "accuracy": fmean(theirs for _, theirs in pairs),
        "difference": mean,
        "interval": interval,
    }


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--child":
        child(Path(sys.argv[2]))
        return
    options = arguments(__doc__ or "")
    folder = Path(tempfile.gettempdir()) / "trainwell-picture-sets"
    options.add_argument("--sets-folder", type=Path, default=folder, help="where the sets are assembled")
    names = [*picture_sets.SETS, TOGETHER]
    options.add_argument("--sets", nargs="+", default=names, choices=names)
    options.add_argument("--repeats", type=int, default=REPEATS)
    options.add_argument("--first", type=int, default=0, help="split; 100 and above to develop on")
    options.add_argument("--only", nargs="+", default=["fit", "logistic", "fastai"], help="contenders")
    options.add_argument("--fastai", default=sys.executable, help="python of the peers' environment")
    options.add_argument("--fastai-repeats", type=int, default=3, help="a run takes minutes")
    chosen = options.parse_args()
    everyone = {
        "fit": Results("transfer", depends=DEPENDS, folder=chosen.results),
        "logistic": Results("transfer-logistic", depends=LOGISTIC_DEPENDS, folder=chosen.results),
        "fastai": Results("transfer-fastai", depends=FASTAI_DEPENDS, folder=chosen.results),
    }
    for name in chosen.sets:
        whole = name == TOGETHER
        folder = together(chosen.sets_folder) if whole else picture_sets.build(name, chosen.sets_folder)
        repeats = min(chosen.repeats, TOGETHER_REPEATS) if whole else chosen.repeats
        for repeat in range(chosen.first, chosen.first + repeats):
            for who in chosen.only:
                case, results = f"{name} {who} {repeat}", everyone[who]
                spared = who == "fastai" and (whole or repeat >= chosen.first + chosen.fastai_repeats)
                if spared or results.has(case):
                    continue
                with tempfile.TemporaryDirectory() as scratch:
                    split = picture_sets.split(folder, repeat, Path(scratch))
                    command = (
                        (sys.executable, __file__, "--child", str(split))
                        if who == "fit"
                        else (
                            chosen.fastai if who == "fastai" else sys.executable,
                            str(Path(__file__).with_name("transfer_peers.py")),
                            who,
                            str(split),
                        )
                    )
                    results.add(case, **run(*command))
    lines = {line["case"]: line for results in everyone.values() for line in results.lines()}
    told = Results("transfer-summary", depends=DEPENDS, folder=chosen.results)
    found = {name: made for name in names if (made := summary(name, lines)) is not None}
    for name, made in found.items():
        told.add(name, **made)
    every = [made for name, made in found.items() if name != TOGETHER]
    if every and all("logistic" in made for made in every):
        told.add(
            "all",
            sets=len(every),
            difference=fmean(made["logistic"]["difference"] for made in every),
            fastai_difference=fmean(made["fastai"]["difference"] for made in every if "fastai" in made)
            if any("fastai" in made for made in every)
            else math.nan,
            longest_seconds=max(made["longest_seconds"] for made in found.values()),
            peak_mib=max(made["peak_mib"] for made in found.values()),
        )


if __name__ == "__main__":
    main()
