"""Results on disk: a JSON line a case, with what a reader needs to judge it."""

import argparse
import ast
import hashlib
import io
import json
import os
import platform
import sys
import tokenize
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "results"
LIBRARIES = ("torch", "numpy", "scikit-learn", "fastai", "lightning", "pytabkit")
FIT = (
    "src/trainwell/training",
    "src/trainwell/models",
    "src/trainwell/search",
    "src/trainwell/recipe",
    "src/trainwell/probes",
    "src/trainwell/preprocessing",
    "src/trainwell/regularization",
    "src/trainwell/initialization",
    "src/trainwell/activations",
    "src/trainwell/schedules.py",
    "src/trainwell/diagnosis/changes.py",
    "src/trainwell/diagnosis/curve_shapes.py",
    "src/trainwell/diagnosis/invariances.py",
    "src/trainwell/diagnosis/leads.py",
    "src/trainwell/diagnosis/measures.py",
    "src/trainwell/diagnosis/rules/regularization",
    "src/trainwell/diagnosis/rules/schedule",
)
"""What every figure of `fit` depends on; rules that warn and change nothing are left out."""
PRETRAINED_ALONE = (
    "!src/trainwell/data/features.py",
    "!src/trainwell/models/hub.py",
    "!src/trainwell/models/pretrained.py",
    "!src/trainwell/models/transferred.py",
    "!src/trainwell/recipe/fine_tuning.py",
    "!src/trainwell/recipe/head_grid.py",
    "!src/trainwell/recipe/pretrained_features.py",
    "!src/trainwell/recipe/similarity.py",
    "!src/trainwell/recipe/transfer.py",
    "!src/trainwell/search/heads.py",
    "!src/trainwell/models/backbones.py",
    "!src/trainwell/models/efficientnet_lite.py",
    "!src/trainwell/training/heads.py",
)
TABLES_ALONE = (
    "!src/trainwell/models/mlp.py",
    "!src/trainwell/models/table_defaults.py",
    "!src/trainwell/models/table_input.py",
)
"""Of these, what only one kind of data goes through: figures of the others do not depend on it."""


def source_hash(*folders: str, root: Path | None = None) -> str:
    """BLAKE2b of the Python files that a figure depends on, by path and code: comments and docstrings do not count.

    A file with "!" before it is left out.
    """
    root = root or ROOT
    digest = hashlib.blake2b(digest_size=12)
    left_out = {root / name[1:] for name in folders if name.startswith("!")}
    for folder in (name for name in folders if not name.startswith("!")):
        path = root / folder
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file in left_out:
                continue
            digest.update(f"{file.relative_to(root)}\0{code_of(file.read_text('utf-8'))}\0".encode())
    return digest.hexdigest()


def code_of(source: str) -> str:
    """A Python file without comments, strings that are statements, and empty lines.

    Cut out of the text, since `ast.dump` and `ast.unparse` say the same code differently from one Python to the next.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def machine() -> dict[str, Any]:
    """Processor, cores, Python and the libraries that decide results."""
    processor = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


class Results:
    """The results of one benchmark: NAME.jsonl in a folder. A case that is there is not run again.

    Args:
        name: of the benchmark.
        depends: files and folders whose code the figures depend on; lines of other code do not count.
        folder: where the file is.
    """

    def __init__(self, name: str, *, depends: tuple[str, ...], folder: Path = FOLDER) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.jsonl"
        self.depends = depends
        self.source = source_hash(*depends)

    def lines(self) -> list[dict[str, Any]]:
        """Cases of the code as it stands."""
        if not self.path.exists():
            return []
        found = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [line for line in found if line["source"] == self.source]

    def has(self, case: str) -> bool:
        """Whether a case has been measured."""
        return any(line["case"] == case for line in self.lines())

    def add(self, case: str, **figures: Any) -> None:
        """Keep a case in place of an older one of that name; lines of other code go."""
        kept = [each for each in self.lines() if each["case"] != case]
        line = {"case": case, **figures, "source": self.source, "depends": self.depends, "machine": machine()}
        text = "".join(json.dumps(each) + "\n" for each in [*kept, line])
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(self.path)
        print(case, json.dumps(figures), flush=True)


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser for a benchmark's own options; all have --results."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--results", type=Path, default=FOLDER, help="folder of the results")
    return parser


sys.path.insert(0, str(ROOT / "benchmarks"))
