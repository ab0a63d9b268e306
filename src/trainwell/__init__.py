"""trainwell: the neural-network training recipe, executed.

>>> import trainwell as tw
>>> tw.__version__
'0.1.0'
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainwell.core.version import VERSION as __version__
    from trainwell.training.setup import Setup
    from trainwell.verbs import Fitted, export, fit, load, report, resume

# Loaded on first use (PEP 562): `trainwell --version` need not wait for torch.
_PLACES = {
    "Fitted": ("trainwell.verbs", "Fitted"),
    "Setup": ("trainwell.training.setup", "Setup"),
    "__version__": ("trainwell.core.version", "VERSION"),
    "export": ("trainwell.verbs", "export"),
    "fit": ("trainwell.verbs", "fit"),
    "load": ("trainwell.verbs", "load"),
    "report": ("trainwell.verbs", "report"),
    "resume": ("trainwell.verbs", "resume"),
}

__all__ = ["Fitted", "Setup", "__version__", "export", "fit", "load", "report", "resume"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'trainwell' has no attribute {name!r}")
    import importlib

    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
