"""trainwell: the neural-network training recipe, executed.

>>> import trainwell as tw
>>> tw.__version__
'0.1.0'
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainwell.capture.given import Setup
    from trainwell.core.version import VERSION as __version__
    from trainwell.verbs import Fitted, check, export, find_lr, fit, load, report, resume, watch

# Loaded on first use (PEP 562): `trainwell --version` need not wait for torch.
_PLACES = {
    "Fitted": ("trainwell.verbs", "Fitted"),
    "Setup": ("trainwell.capture.given", "Setup"),
    "__version__": ("trainwell.core.version", "VERSION"),
    "check": ("trainwell.verbs", "check"),
    "export": ("trainwell.verbs", "export"),
    "find_lr": ("trainwell.verbs", "find_lr"),
    "fit": ("trainwell.verbs", "fit"),
    "load": ("trainwell.verbs", "load"),
    "report": ("trainwell.verbs", "report"),
    "resume": ("trainwell.verbs", "resume"),
    "watch": ("trainwell.verbs", "watch"),
}

__all__ = [
    "Fitted",
    "Setup",
    "__version__",
    "check",
    "export",
    "find_lr",
    "fit",
    "load",
    "report",
    "resume",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'trainwell' has no attribute {name!r}")
    import importlib

    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
