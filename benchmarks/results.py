"""Results on disk: a JSON line a case, with what a reader needs to judge it."""

import argparse
import hashlib
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "results"
LIBRARIES = ("torch", "numpy", "scikit-learn", "fastai", "lightning", "pytabkit")


def source_hash(*folders: str) -> str:
    """BLAKE2b of the Python files that a figure depends on, by path and content."""
    digest = hashlib.blake2b(digest_size=12)
    for folder in folders:
        path = ROOT / folder
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


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
    """The results of one benchmark: `results/NAME.jsonl`. A case that is there is not run again.

    Args:
        name: of the benchmark.
        depends: files and folders whose code the figures depend on; lines of other code do not count.
    """

    def __init__(self, name: str, *, depends: tuple[str, ...]) -> None:
        FOLDER.mkdir(exist_ok=True)
        self.path = FOLDER / f"{name}.jsonl"
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
        """Keep a case; older code's lines go."""
        kept = self.lines()
        line = {"case": case, **figures, "source": self.source, "depends": self.depends, "machine": machine()}
        text = "".join(json.dumps(each) + "\n" for each in [*kept, line])
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(self.path)
        print(case, json.dumps(figures), flush=True)


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser for a benchmark's own options."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)


sys.path.insert(0, str(ROOT / "benchmarks"))
