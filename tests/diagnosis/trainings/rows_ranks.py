"""OPT019: processes that train one network together, in processes of their own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rows import Row

from trainwell.core.jsonio import from_json
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps

TRAINED = """
import os, sys, torch
from torch import distributed, nn
from trainwell.capture.listener import Listener
from trainwell.core.jsonio import to_json

distributed.init_process_group("gloo")
rank = distributed.get_rank()
torch.manual_seed(0)
model = nn.Linear(4, 1)
wrapped = nn.parallel.DistributedDataParallel(model)
called = wrapped if sys.argv[1] == "wrapped" else model
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
torch.manual_seed(rank)
listener = Listener(lambda _: None)
with listener.listening():
    for _ in range(32):
        inputs = torch.randn(16, 4)
        optimizer.zero_grad()
        (called(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean().backward()
        optimizer.step()
    distributed.barrier()
if rank == 0:
    open(sys.argv[2], "w").write(to_json(listener.heard()))
distributed.barrier()
distributed.destroy_process_group()
"""


def _together(how: str) -> Observation:
    with tempfile.TemporaryDirectory() as folder:
        script, left = Path(folder) / "ranks.py", Path(folder) / "steps.json"
        script.write_text(TRAINED)
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
        command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", str(script), how, str(left)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return Observation(steps=from_json(Steps, left.read_bytes()))


CASES: dict[str, Callable[[Any], Observation]] = {
    "each process alone": lambda _: _together("alone"),
    "processes together": lambda _: _together("wrapped"),
}

ROWS: tuple[Row, ...] = (
    Row(
        code="OPT019",
        fires="each process alone",
        misses="processes together",
        severity="error",
        message="After step # the weights of the # processes differ, by up to # of a parameter's norm: each trains a "
        "network of its own.",
        threshold="APART",
        changed_to=1e9,
    ),
)
