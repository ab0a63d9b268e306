"""A quoted figure is the measured one and of the code as it stands, or the check fails."""

import json
import sys
from pathlib import Path

import check_quotes
import pytest
from results import source_hash

FRESH = source_hash("benchmarks/results.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "chapters").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    lines = [
        {"case": "seed=0 long", "accuracy": 0.93456, "interval": [0.9, 0.95], "test": {"n": 10_000}, "source": FRESH},
        {"case": "old", "accuracy": 0.5, "source": "0" * 24},
    ]
    text = "".join(json.dumps(line | {"depends": ["benchmarks/results.py"]}) + "\n" for line in lines)
    (tmp_path / "results" / "fashion.jsonl").write_text(text)
    return tmp_path


def quoted(about: str, value: str) -> str:
    return f"before <!-- figure: {about} -->{value}<!-- /figure --> after\n"


def check(root: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    given = ["check_quotes.py", "--root", str(root), "--results", str(root / "results"), *options]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as left:
        check_quotes.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def test_the_measured_value_passes(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = quoted('fashion "seed=0 long" accuracy .1%', "93.5%") + quoted("fashion 'seed=0 long' test.n ,", "10,000")
    (root / "README.md").write_text(line)
    (root / "docs" / "chapters" / "x.md").write_text(quoted("fashion 'seed=0 long' interval.1", "0.95"))
    assert check(root, monkeypatch) == 0
    assert "3 quoted figures, 0 problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("about", "value", "said"),
    [
        ("fashion 'seed=0 long' accuracy .1%", "93.6%", 'it is "93.5%"'),
        ("fashion 'seed=0 long' accuracy .1%", "", 'it is "93.5%"'),
        ("fashion old accuracy", "0.5", "changed since"),
        ("fashion gone accuracy", "1", 'has 0 cases "gone"'),
        ("fashion old loss", "1", 'has no "loss"'),
        ("fashion 'seed=0 long' interval.7", "1", 'has no "interval.7"'),
        ("other old accuracy", "1", "no other.jsonl"),
        ("fashion old", "1", "must be FILE CASE KEY"),
        ("fashion 'old accuracy", "1", "must be FILE CASE KEY"),
        ("fashion old accuracy .1z", "1", "cannot be written"),
    ],
)
def test_everything_else_fails(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    about: str,
    value: str,
    said: str,
) -> None:
    (root / "README.md").write_text(quoted(about, value))
    assert check(root, monkeypatch) == 1
    assert said in capsys.readouterr().err


def test_a_figure_that_is_never_closed_fails(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "README.md").write_text("<!-- figure: fashion old accuracy -->0.5\n")
    assert check(root, monkeypatch) == 1
    assert "README.md:1: a figure ends with" in capsys.readouterr().err


def test_write_fills_in_values_and_nothing_else(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = "fashion 'seed=0 long' accuracy .1%"
    (root / "README.md").write_text("# one\n" + quoted(about, "?") + "two\n" + quoted(about, "1%"))
    assert check(root, monkeypatch, "--write") == 0
    assert (root / "README.md").read_text() == "# one\n" + quoted(about, "93.5%") + "two\n" + quoted(about, "93.5%")


def test_write_does_not_make_stale_figures_fresh(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "README.md").write_text(quoted("fashion old accuracy", "?"))
    assert check(root, monkeypatch, "--write") == 1
    assert (root / "README.md").read_text() == quoted("fashion old accuracy", "0.5")


def test_a_page_of_claims_wants_fresh_claims(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = root / "docs" / "claims.md"
    page.write_text("{{ claims: all }}\n")
    assert check(root, monkeypatch) == 1
    assert "no claims.jsonl" in capsys.readouterr().err
    line = {"case": "relu dies", "source": FRESH, "depends": ["benchmarks/results.py"]}
    claims = root / "results" / "claims.jsonl"
    claims.write_text(json.dumps(line) + "\n")
    assert check(root, monkeypatch) == 0
    claims.write_text(json.dumps(line | {"source": "0" * 24}) + "\n")
    assert check(root, monkeypatch) == 1
    assert '"relu dies" was measured with code that has changed' in capsys.readouterr().err


def test_the_hash_follows_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import results

    monkeypatch.setattr(results, "ROOT", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a = 1\n")
    (tmp_path / "src" / "notes.txt").write_text("no code")
    before = results.source_hash("src")
    (tmp_path / "src" / "notes.txt").write_text("still no code")
    assert results.source_hash("src") == before
    (tmp_path / "src" / "a.py").write_text("a = 2\n")
    assert results.source_hash("src") != before


def test_comments_and_docstrings_are_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import results

    monkeypatch.setattr(results, "ROOT", tmp_path)
    file = tmp_path / "a.py"

    def found(text: str) -> str:
        file.write_text(text)
        return results.source_hash("a.py")

    plain = found("def f(x):\n    y = '# 1'\n    return x + y\n")
    said = (
        '"""A file."""\n\n\ndef f(x):\n    """What it\n    does."""\n    # why\n'
        "    y = '# 1'\n    return x + y  # so\n"
    )
    assert found(said) == plain
    assert found(said.replace("# 1", "# 2")) != plain
