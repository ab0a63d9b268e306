"""The sample of the long benchmarks: what it takes, and what it finds absurd."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import results
import sample
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

names = st.lists(st.text(max_size=8), unique=True, max_size=12)


@settings(deadline=None, max_examples=60)
@given(cases=names, count=st.integers(0, 13), order=st.randoms(use_true_random=False))
def test_the_choice_depends_on_names_alone(cases: list[str], count: int, order: Any) -> None:
    taken = sample.chosen(cases, count)
    assert len(taken) == min(count, len(cases))
    assert set(taken) <= set(cases)
    shuffled = order.sample(cases, len(cases))
    assert sample.chosen(shuffled, count) == taken
    # A case that was not taken may go, and another sample may be larger: those taken stay.
    assert sample.chosen([case for case in shuffled if case in taken], count) == taken
    assert sample.chosen(cases, count + 1)[:count] == taken


def test_the_choice_is_the_same_everywhere() -> None:
    assert sample.chosen([f"case {i}" for i in range(10)], 3) == ["case 2", "case 0", "case 8"]


@pytest.mark.parametrize("name", sample.SAMPLES)
def test_every_sample_is_of_a_benchmark_and_of_its_cases(name: str) -> None:
    made = sample.SAMPLES[name]()
    assert made == sample.SAMPLES[name]()
    assert made.script == name
    assert (results.ROOT / "benchmarks" / f"{name}.py").is_file()
    assert made.cases


def test_claims_are_told_by_name() -> None:
    from trainwell.lecture.claims.table import CLAIMS

    made = sample.measured_claims()
    assert set(made.cases) <= set(CLAIMS)
    assert "exp_costs" not in made.cases
    assert made.options == ("--only", *made.cases)


@pytest.mark.parametrize(
    ("table", "metric", "committed", "said"),
    [
        ("wine", 0.97, None, []),
        ("wine", 0.97, 1.0, []),
        ("wine", 0.85, 1.0, ["0.850 is far below the committed 1.000"]),
        ("wine", 0.3, None, ["no better than a constant's"]),
        ("wine", float("nan"), 1.0, ["no better than a constant's", "far below"]),
        ("diabetes", 0.4, 0.45, []),
        ("diabetes", -0.01, None, ["no better than a constant's 0.000"]),
    ],
)
def test_accuracy(table: str, metric: float, committed: float | None, said: list[str]) -> None:
    line = {"table": table, "repeat": 0, "metric": metric}
    found = sample.accuracy_problems(line, None if committed is None else line | {"metric": committed})
    assert len(found) == len(said)
    assert all(wanted in sentence for wanted, sentence in zip(said, found))


def test_the_constant_is_the_share_of_the_most_frequent_class() -> None:
    _, test = tables.split(tables.load("wine"), "wine", 0)
    share = float((test[tables.TARGET] == "class 1").mean())
    line = {"table": "wine", "repeat": 0, "metric": share}
    assert sample.accuracy_problems(line, None) == [f"{share:.3f} is no better than a constant's {share:.3f}"]
    assert sample.accuracy_problems(line | {"metric": share + 1e-6}, None) == []


def claim(mean: float | str, *, low: float = 0.9, high: float = 1.1) -> dict[str, Any]:
    return {"conditions": [{"name": "ratio", "mean": mean, "low": low, "high": high}]}


@pytest.mark.parametrize(("mean", "right"), [(1.0, True), (1.6, True), (0.4, True), (1.7, False), (0.3, False)])
def test_a_claim_near_its_interval(mean: float, right: bool) -> None:
    assert (sample.claim_problems(claim(mean), claim(1.0)) == []) is right


def test_a_claim_that_is_exact_or_new_or_no_number() -> None:
    assert sample.claim_problems(claim(0.04), claim(0.0, low=0.0, high=0.0)) == []
    assert sample.claim_problems(claim(0.06), claim(0.0, low=0.0, high=0.0)) != []
    assert sample.claim_problems(claim(1e9), None) == []
    assert sample.claim_problems(claim("NaN"), None) == ["ratio: NaN"]


def test_memory_and_speed() -> None:
    line = {"seconds": 1.0, "peak_mib": 200.0}
    assert sample.size_problems(line, None) == []
    assert sample.size_problems(line, {"peak_mib": 40.0}) == []
    assert sample.size_problems(line, {"peak_mib": 30.0}) == ["200 MiB is far above the committed 30 MiB"]
    assert sample.size_problems(line | {"seconds": 0.0}, None) == ["0.0 seconds, 200.0 MiB"]
    speeds = {name: {"samples_per_second": 1.0} for name in ("loop", "bare")}
    assert sample.speed_problems(speeds, None) == []
    assert sample.speed_problems(speeds | {"bare": {"samples_per_second": 0.0}}, None) == ["bare: 0.0 samples a second"]


def test_fashion() -> None:
    assert sample.fashion_problems({"accuracy": 0.76}, None) == []
    assert sample.fashion_problems({"accuracy": 0.1}, None) == ["accuracy 0.100 is below 0.5"]
    assert sample.fashion_problems({"accuracy": float("nan")}, None) == ["accuracy nan is below 0.5"]


def test_a_pretrained_network() -> None:
    line = {"accuracy": 0.76, "taken": "freeze"}
    assert sample.pretrained_problems(line, None) == []
    assert sample.pretrained_problems(line, {"accuracy": 0.85}) == []
    assert sample.pretrained_problems(line, {"accuracy": 0.9}) == ["0.760 is far below the committed 0.900"]
    assert sample.pretrained_problems(line | {"taken": "from_scratch"}, None) == [
        "the pretrained network was not taken"
    ]


SCRIPT = """
import sys
from pathlib import Path
what, folder = sys.argv[1], Path(sys.argv[sys.argv.index("--results") + 1])
if what == "raise":
    raise SystemExit(3)
if what == "good":
    (folder / "made.jsonl").write_text('{"case": "a", "value": 1}' + chr(10))
"""


def beyond(line: Mapping[str, Any], committed: Mapping[str, Any] | None) -> list[str]:
    return [] if committed is None or line["value"] <= committed["value"] else ["it is too large"]


def left(sample_of: sample.Sample, folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...] = ()) -> int:
    monkeypatch.setattr(sample, "SCRIPTS", folder)
    monkeypatch.setattr(sample, "SAMPLES", {"made": lambda: sample_of})
    monkeypatch.setattr(sys, "argv", ["sample.py", "--results", str(folder / "results"), *options])
    with pytest.raises(SystemExit) as ended:
        sample.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("what", "committed", "said"),
    [
        ("good", None, ""),
        ("good", 1, ""),
        ("good", 0, "made, a: it is too large."),
        ("nothing", 1, "made, a: it left no line."),
        ("raise", 1, "made ended with exit status 3."),
    ],
)
def test_a_sample_is_run_and_judged_and_the_results_are_left_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
    committed: int | None,
    said: str,
) -> None:
    (tmp_path / "made.py").write_text(SCRIPT)
    kept = tmp_path / "results"
    kept.mkdir()
    if committed is not None:
        (kept / "made.jsonl").write_text(json.dumps({"case": "a", "value": committed}) + "\n")
    before = {path: path.read_bytes() for path in kept.iterdir()}
    status = left(sample.Sample("made", (what,), ("a",), beyond), tmp_path, monkeypatch)
    assert status == bool(said)
    assert capsys.readouterr().err.strip() == said
    assert {path: path.read_bytes() for path in kept.iterdir()} == before


def test_results_are_kept_where_they_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = results.Results("made", depends=("benchmarks/results.py",), folder=tmp_path / "elsewhere")
    made.add("a", value=1)
    assert made.has("a")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["made.jsonl"]
    assert not (results.FOLDER / "made.jsonl").exists()
