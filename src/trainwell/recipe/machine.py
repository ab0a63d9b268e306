"""The machine a run is on: its device, its processor, the versions that decide results."""

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

from trainwell.core.errors import SettingError, suggestion
from trainwell.core.version import VERSION

LIBRARIES = ("torch", "numpy", "optuna", "scikit-learn", "polars", "pillow")


def resolve_device(device: str) -> str:
    """The device that is meant, if it is there.

    Raises:
        SettingError: it is not, or there is no such thing.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(each for each in ("cuda", "mps", "cpu") if there[each])
    kind = device.split(":")[0]
    if kind not in there:
        raise SettingError(f'`device` must be auto, cpu, cuda or mps, but got "{device}". {suggestion(device, there)}')
    if not there[kind]:
        raise SettingError(f"`device` {device} must be there, but this machine has none. Take auto.")
    return device


def versions() -> dict[str, str]:
    """trainwell, Python and the libraries that decide results."""
    found = {"trainwell": VERSION, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in LIBRARIES}


def hardware(device: str) -> str:
    """The processor, its cores and the memory, in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0.0
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        return platform.machine()
    return platform.processor() or platform.machine()
