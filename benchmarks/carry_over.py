"""Carry figures over a change of code that leaves what they measured as it was, proven by running both.

The same work is done with the source of an older commit and with the source as it stands: fits with a budget of steps,
so that no clock decides, or a pretrained network's features. Where every result and every weight is equal bit for bit,
the lines of results/ that were measured with the older source get the hash of this one, and say so under
`carried_over`. Otherwise nothing is changed, and the exit status is 1.

    python benchmarks/carry_over.py ba4f613 tables accuracy accuracy-summary
    python benchmarks/carry_over.py ba4f613 small-pictures epoch epoch-rounds
    python benchmarks/carry_over.py ba4f613 features transfer-logistic --sets-folder /path/to/sets

What it cannot prove: that the time is the same. Figures of time are carried over only where the code that was timed did
not change.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from results import FOLDER, ROOT, source_hash

STEPS = 1_500
NOT_COMPARED = ("seconds", "started", "hardware", "run")


def said(found: Any) -> dict[str, Any]:
    """Of a finished fit: all that it says, and a digest of its weights."""
    from trainwell.core.jsonio import to_json

    weights = hashlib.blake2b()
    for name, value in sorted(found.model.network.state_dict().items()):
        weights.update(name.encode() + value.detach().numpy().tobytes())
    return {"result": json.loads(to_json(found.result)), "weights": weights.hexdigest()[:16]}


def agree(old: Any, new: Any) -> bool:
    """Whether two results say the same, but times, and what the records of one source alone have a field for."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(agree(old[key], new[key]) for key in old.keys() & new.keys() if key not in NOT_COMPARED)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(agree, old, new))
    return bool(old == new)


def of_tables(_: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Two splits of each table of the accuracy benchmark."""
    import tables

    from trainwell.verbs import fit

    for name in tables.NAMES:
        for repeat in (0, 1):
            frame, test = tables.split(tables.load(name), name, repeat)
            with tempfile.TemporaryDirectory() as runs:
                found = fit(frame, target=tables.TARGET, test=test, budget_steps=STEPS, seed=repeat, runs=Path(runs))
                yield f"{name} {repeat}", said(found)


def of_small_pictures(_: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Gray pictures of 28 x 28, by both networks of the house."""
    from epoch import pictures

    from trainwell.verbs import fit

    for model in ("convnet", "resnet"):
        with tempfile.TemporaryDirectory() as runs:
            found = fit(pictures(2_000, 1), model=model, budget_steps=STEPS // 10, runs=Path(runs))
            yield model, said(found)


def of_features(chosen: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """A pretrained network's features of a split of each picture set, as the transfer benchmark's peer has them."""
    import picture_sets
    from transfer_peers import features, files_of

    for name in picture_sets.SETS:
        folder = picture_sets.build(name, chosen.sets_folder)
        with tempfile.TemporaryDirectory() as scratch:
            split = picture_sets.split(folder, 0, Path(scratch))
            found = features(files_of(split, "train")[0])
        yield name, hashlib.blake2b(found.tobytes()).hexdigest()[:16]


def of_pretrained(chosen: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Fits of a split of two picture sets, from a pretrained network."""
    import picture_sets

    from trainwell.verbs import fit

    for name in ("emoji", "photographs"):
        folder = picture_sets.build(name, chosen.sets_folder)
        with tempfile.TemporaryDirectory() as scratch:
            split = picture_sets.split(folder, 0, Path(scratch))
            found = fit(split / "train", test=split / "test", budget_steps=STEPS, seed=0, runs=Path(scratch) / "runs")
            yield name, said(found)


KINDS: dict[str, Callable[[argparse.Namespace], Iterator[tuple[str, Any]]]] = {
    "tables": of_tables,
    "small-pictures": of_small_pictures,
    "features": of_features,
    "pretrained": of_pretrained,
}


def digests(source: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """What the work comes to with a source, in a process of its own."""
    command = [sys.executable, __file__, chosen.commit, chosen.kind, "--child", "--sets-folder", chosen.sets_folder]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def carried(path: Path, before: Path, proof: str) -> tuple[str, int]:
    """A file of results, each line of the older source with this one's hash, and how many there are."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    count = 0
    for line in lines:
        if line["source"] == source_hash(*line["depends"], root=before):
            line["source"] = source_hash(*line["depends"])
            line["carried_over"] = [*line.get("carried_over", []), proof]
            count += 1
    return "".join(json.dumps(line) + "\n" for line in lines), count


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("commit", help="with which the figures were measured")
    options.add_argument("kind", choices=sorted(KINDS))
    options.add_argument("results", nargs="*", help="names of files in results/")
    options.add_argument("--sets-folder", default=str(Path(tempfile.gettempdir()) / "trainwell-picture-sets"))
    options.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        chosen.sets_folder = Path(chosen.sets_folder)
        print(json.dumps(dict(KINDS[chosen.kind](chosen))))
        return
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder)
        archive = subprocess.run(["git", "archive", chosen.commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
        with ThreadPoolExecutor(2) as pool:
            old, new = pool.map(lambda source: digests(source, chosen), (before / "src", ROOT / "src"))
        differing = [case for case in new if case not in old or not agree(old[case], new[case])]
        if differing:
            raise SystemExit(f"Not carried over: {', '.join(differing)} came out otherwise than with {chosen.commit}.")
        proof = f"from {chosen.commit}: {chosen.kind} equal bit for bit in {len(new)} cases"
        made = {FOLDER / f"{name}.jsonl": carried(FOLDER / f"{name}.jsonl", before, proof) for name in chosen.results}
    for path, (text, count) in made.items():
        path.write_text(text)
        print(f"{path.name}: {count} lines, {proof}")


if __name__ == "__main__":
    main()
