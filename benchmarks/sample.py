"""A sample of the long benchmarks, in five minutes: that each still runs, and that none of its figures is absurd.

A hash of the cases' names says which are taken: nobody picks them, and they are the same everywhere. What they leave is
written into a temporary folder and compared with the committed line of the same case, where there is one, so widely
that another machine passes: this finds what is broken, not what is a little worse. No time is judged. fastai,
Lightning and the other peers take no part: their packages are not at hand.

    python benchmarks/sample.py                  fails where a case raises or a figure is absurd
    python benchmarks/sample.py --only claims    only these benchmarks
"""

import hashlib
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fashion
import picture_sets
import tables
from faults.corpus import corpus
from results import FOLDER, ROOT, arguments

SCRIPTS = ROOT / "benchmarks"
LOST = 0.1
"""Accuracy, or R², below the committed split's by more than this is no noise: seeds differ by less than half of it."""
WIDTHS = 3.0
"""A claim's mean may lie this many widths of its committed interval away from where it was."""
SLACK = 0.05
"""And this much more, in units of the mean or of 1: an interval without width belongs to a figure that is exact."""
LEAST_FASHION = 0.5
"""Five times a guess. A minute has given 0.77 to a fifth of a processor, and a linear classifier reaches 0.84."""
MEMORY_TIMES, MEMORY_MIB = 4.0, 64.0
"""Peak memory may be so many times the committed one, and this much more: allocators differ."""
EMOJI = picture_sets.SHARE / "fonts" / "truetype" / "noto" / "NotoColorEmoji.ttf"
HANGS_SECONDS = 900.0
"""No script of the sample takes a quarter of it; one that hangs is ended."""

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Sample:
    """Some cases of one benchmark.

    Attributes:
        script: name of its file, and of its results.
        options: with them it runs these cases alone.
        cases: names of the lines that it must leave.
        problems: what is absurd in a line (a sentence each), given the committed line of that case or none.
    """

    script: str
    options: tuple[str, ...]
    cases: tuple[str, ...]
    problems: Callable[[Line, Line | None], list[str]]


def chosen(cases: Iterable[str], count: int) -> list[str]:
    """The cases whose names have the smallest hashes.

    Args:
        cases: names, in any order.
        count: how many, >= 0.
    """
    return sorted(cases, key=lambda case: hashlib.blake2b(case.encode(), digest_size=8).digest())[:count]


def accuracy() -> Sample:
    """One split of a table of scikit-learn's; the larger ones come with the peers' packages, digits is `make demo`."""
    names = [name for name in tables.NAMES if name in ("wine", "breast_cancer", "diabetes")]
    [case] = chosen([f"{name} {repeat} fit" for name in names for repeat in range(10)], 1)
    name, repeat, _ = case.split()
    options = ("--only", "fit", "--tables", name, "--first", repeat, "--repeats", "1", "--seeds", "0")
    return Sample("accuracy", options, (case,), accuracy_problems)


def measured_claims() -> Sample:
    """Two claims, of those that are not about time."""
    from trainwell.lecture.claims.table import CLAIMS

    names = chosen([name for name in CLAIMS if name != "exp_costs"], 2)
    return Sample("claims", ("--only", *names), tuple(names), claim_problems)


def sizes() -> Sample:
    """One of the two smallest numbers of images, and of rows."""
    [images] = chosen(["images n=1000", "images n=3000"], 1)
    [rows] = chosen(["rows n=10000", "rows n=30000"], 1)
    options = ("--images", images.split("=")[1], "--rows", rows.split("=")[1])
    return Sample("scale", options, (f"prepare {images}", f"epoch of {images}", f"prepare {rows}"), size_problems)


def speed() -> Sample:
    """One short round of the one loop beside `bare.py`: it has one case that takes no peers."""
    return Sample("epoch", ("--rounds", "1", "--images", "1024", "--epochs", "1"), ("convnet",), speed_problems)


def fashion_in_a_minute() -> Sample:
    """All 60,000 pictures, a tenth of the budget: it has one case, and ten minutes are too long here."""
    return Sample("fashion", ("--budget", "60"), ("budget=60s seed=0",), fashion_problems)


def pretrained() -> Sample:
    """One split of the one set that comes with a single package."""
    [repeat] = chosen([str(repeat) for repeat in range(10)], 1)
    options = ("--sets", "emoji", "--first", repeat, "--repeats", "1", "--only", "fit", "logistic")
    return Sample("transfer", options, (f"emoji fit {repeat}",), pretrained_problems)


def faults() -> Sample:
    """Three healthy scripts, and three with a fault that the run itself proves, of the half that rules are made on."""
    cases = [case for case in corpus() if not case.set_aside]
    healthy = chosen([case.name for case in cases if not case.code], 3)
    faulty = chosen([case.name for case in cases if case.exact], 3)
    names = (*healthy, *faulty)
    return Sample("detect", ("--only", *names), names, fault_problems)


def fault_problems(line: Line, committed: Line | None) -> list[str]:
    """A check that failed, a false alarm, or a fault that was found before and no longer is."""
    if "failed" in line:
        return [line["failed"]]
    if not line["code"]:
        return [f"false alarm: {', '.join(line['said'])}"] if line["said"] else []
    found_before = committed is not None and committed.get("detected", False)
    return [f"{line['code']} is no longer found"] if found_before and not line["detected"] else []


def accuracy_problems(line: Line, committed: Line | None) -> list[str]:
    """No better than the best constant, or far below what this very split gave."""
    frame, test = tables.split(tables.load(line["table"]), line["table"], line["repeat"])
    constant = 0.0
    if tables.TASKS[line["table"]] == "classification":
        constant = float((test[tables.TARGET] == frame[tables.TARGET].mode()[0]).mean())
    wrong = []
    if not line["metric"] > constant:
        wrong.append(f"{line['metric']:.3f} is no better than a constant's {constant:.3f}")
    if committed is not None and not line["metric"] >= committed["metric"] - LOST:
        wrong.append(f"{line['metric']:.3f} is far below the committed {committed['metric']:.3f}")
    return wrong


def pretrained_problems(line: Line, committed: Line | None) -> list[str]:
    """A new network where a pretrained one helps, or far below what this very split gave."""
    wrong = []
    if line["taken"] == "from_scratch":
        wrong.append("the pretrained network was not taken")
    if committed is not None and not line["accuracy"] >= committed["accuracy"] - LOST:
        wrong.append(f"{line['accuracy']:.3f} is far below the committed {committed['accuracy']:.3f}")
    return wrong


def claim_problems(line: Line, committed: Line | None) -> list[str]:
    """A condition whose mean is not a number, or lies far outside the committed interval."""
    wrong = [f"{each['name']}: {each['mean']}" for each in line["conditions"] if not finite(each["mean"])]
    before = {each["name"]: each for each in committed["conditions"]} if committed is not None else {}
    for each in line["conditions"]:
        was = before.get(each["name"])
        if was is None or not finite(each["mean"]):
            continue
        allowed = WIDTHS * (was["high"] - was["low"]) + SLACK * max(1.0, abs(was["mean"]))
        if abs(each["mean"] - was["mean"]) > allowed:
            wrong.append(f"{each['name']}: {each['mean']:.3g} is far from the committed {was['mean']:.3g}")
    return wrong


def size_problems(line: Line, committed: Line | None) -> list[str]:
    """Memory that cannot be, or is several times what it was."""
    peak = line["peak_mib"]
    if not finite(line["seconds"]) or not finite(peak) or line["seconds"] <= 0:
        return [f"{line['seconds']} seconds, {peak} MiB"]
    if committed is not None and peak > MEMORY_TIMES * committed["peak_mib"] + MEMORY_MIB:
        return [f"{peak:.0f} MiB is far above the committed {committed['peak_mib']:.0f} MiB"]
    return []


def speed_problems(line: Line, committed: Line | None) -> list[str]:  # noqa: ARG001 - no time is judged
    """A contender that trained on nothing."""
    speeds = {name: line[name]["samples_per_second"] for name in ("loop", "bare")}
    return [f"{name}: {found} samples a second" for name, found in speeds.items() if not finite(found) or found <= 0]


def fashion_problems(line: Line, committed: Line | None) -> list[str]:  # noqa: ARG001 - committed is another budget
    """Little better than a guess."""
    accuracy = line["accuracy"]
    return [] if accuracy >= LEAST_FASHION else [f"accuracy {accuracy:.3f} is below {LEAST_FASHION}"]


def finite(value: object) -> bool:
    """Whether it is a number; "NaN" and "Infinity" stand as strings in the results."""
    return isinstance(value, int | float) and math.isfinite(value)


def lines_of(name: str, folder: Path) -> dict[str, Line]:
    """The results of a benchmark by case; none where there is no file."""
    path = folder / f"{name}.jsonl"
    read = [json.loads(text) for text in path.read_text("utf-8").splitlines()] if path.is_file() else []
    return {line["case"]: line for line in read}


def run(sample: Sample, *, committed: Path = FOLDER) -> list[str]:
    """Run its cases; what is wrong, a sentence each.

    Args:
        sample: which.
        committed: folder of the results to compare with, which is only read.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(SCRIPTS / f"{sample.script}.py"), *sample.options, "--results", folder]
        try:
            done = subprocess.run(command, check=False, timeout=HANGS_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"{sample.script} hangs."]
        if done.returncode != 0:
            return [f"{sample.script} ended with exit status {done.returncode}."]
        found, before = lines_of(sample.script, Path(folder)), lines_of(sample.script, committed)
    wrong = [f"{sample.script}, {case}: it left no line." for case in sample.cases if case not in found]
    for case, line in found.items():
        wrong += [f"{sample.script}, {case}: {why}." for why in sample.problems(line, before.get(case))]
    return wrong


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--only", nargs="*", choices=tuple(SAMPLES), default=tuple(SAMPLES))
    given = options.parse_args()
    wrong: list[str] = []
    for name in given.only:
        if name == "fashion" and not fashion.DATA.is_dir():
            print(f"fashion is left out: there is no {fashion.DATA} (apt-get install dataset-fashion-mnist).")
            continue
        if name == "transfer" and not EMOJI.is_file():
            print(f"transfer is left out: there is no {EMOJI} (apt-get install fonts-noto-color-emoji).")
            continue
        sample = SAMPLES[name]()
        print(f"-- {name}: {', '.join(sample.cases)}", flush=True)
        wrong += run(sample, committed=given.results)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    sys.exit(1 if wrong else 0)


SAMPLES: dict[str, Callable[[], Sample]] = {
    "scale": sizes,
    "epoch": speed,
    "claims": measured_claims,
    "accuracy": accuracy,
    "transfer": pretrained,
    "fashion": fashion_in_a_minute,
    "detect": faults,
}
"""What is sampled of each benchmark; the quick ones first."""


if __name__ == "__main__":
    main()
