"""What watching a training costs: five networks, watched and unwatched runs in turn.

Writes results/watch.jsonl, a line a network: the median ratio of the time of a watched run to that of the unwatched one
beside it, by the clock and by the processor's time, the time of a step, and the memory that watching added.

    python benchmarks/watch.py
"""

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from results import Results, arguments
from torch import Tensor, nn
from torch.nn import functional as F

from trainwell.watching import Watch

STEPS = 1500
PAIRS = 5
DEPENDS = ("src/trainwell/capture", "src/trainwell/watching.py", "src/trainwell/diagnosis", "src/trainwell/anatomy")


class Narrow(nn.Module):
    """300 modules of little work each: where hooks cost most."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(100):
            parts += [nn.Linear(48, 48), nn.LayerNorm(48), nn.ReLU()]
        self.body = nn.Sequential(*parts)
        self.last = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(x + self.body(x))
        return found


class Speller(nn.Module):
    """A small causal transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.letter, self.place = nn.Embedding(64, 96), nn.Embedding(48, 96)
        layer = nn.TransformerEncoderLayer(96, 4, 384, dropout=0.1, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.last = nn.Linear(96, 64)

    def forward(self, text: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(text.shape[1])
        found: Tensor = self.last(self.body(self.letter(text) + self.place.weight[: text.shape[1]], mask=mask))
        return found.flatten(0, 1)


class Reader(nn.Module):
    """A recurrent network."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = nn.LSTM(32, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.body(x)[0][:, -1])
        return found


def convolutional() -> nn.Module:
    parts: list[nn.Module] = []
    for given, made in ((3, 32), (32, 64), (64, 64)):
        parts += [nn.Conv2d(given, made, 3, padding=1), nn.BatchNorm2d(made), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(64 * 16, 10))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor], int]] = {
    "perceptron": (perceptron, lambda: torch.randn(256, 256), 256),
    "convolutional": (convolutional, lambda: torch.randn(32, 3, 32, 32), 32),
    "transformer": (Speller, lambda: torch.randint(64, (16, 48)), 16 * 48),
    "recurrent": (Reader, lambda: torch.randn(64, 40, 32), 64),
    "300 modules": (Narrow, lambda: torch.randn(256, 48), 256),
}


def run(name: str, *, watched: bool) -> dict[str, float]:
    """A training of some steps: seconds by the clock and of the processor."""
    make, draw, outputs = NETWORKS[name]
    torch.manual_seed(0)
    model, inputs = make(), draw()
    labels = torch.randint(10, (outputs,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def steps() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()

    gc.collect()
    before = resident()
    clock, processor = time.perf_counter(), time.process_time()
    if watched:
        with Watch():
            steps()
    else:
        steps()
    took = {"seconds": time.perf_counter() - clock, "processor": time.process_time() - processor}
    return {**took, "mib": resident() - before}


def resident() -> float:
    return int(Path("/proc/self/status").read_text("ascii").split("VmRSS:")[1].split()[0]) / 1024


def measure(name: str) -> dict[str, Any]:
    """Pairs of runs, after one that warms up."""
    run(name, watched=True)
    pairs = []
    for number in range(PAIRS):
        # Each comes first in turn: memory that was used before makes the later run slower, or faster.
        first = run(name, watched=number % 2 == 1)
        second = run(name, watched=number % 2 == 0)
        pairs.append((first, second) if number % 2 == 0 else (second, first))
    found: dict[str, Any] = {"n": PAIRS, "steps": STEPS, "threads": torch.get_num_threads()}
    for key in ("seconds", "processor"):
        ratios = [other[key] / one[key] for one, other in pairs]
        found[f"{key}_ratio"] = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    found["step_ms"] = 1000 * statistics.median(one["seconds"] for one, _ in pairs) / STEPS
    found["mib_added"] = max(other["mib"] - one["mib"] for one, other in pairs)
    return found


def main() -> None:
    chosen = arguments(__doc__ or "").parse_args()
    results = Results("watch", depends=DEPENDS, folder=chosen.results)
    for name in NETWORKS:
        if not results.has(name):
            results.add(name, **measure(name))


if __name__ == "__main__":
    main()
