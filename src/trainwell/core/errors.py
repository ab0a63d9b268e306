"""One small exception tree.

::

    TrainwellError            everything trainwell raises on purpose; the command line prints it as one sentence
    ├── SettingError          an argument or option is outside its range (also a ValueError)
    ├── DataError             the data cannot be used as given (also a ValueError)
    │   └── TargetError       the target column or the labels
    ├── ModelError            a model, a model file or a model folder cannot be used as given
    ├── ScriptError           a training script could not be observed
    ├── StoreError            a run folder or study cannot be read or written
    │   └── ResumeError       a run cannot be continued as it stands
    └── MissingExtraError     an optional dependency is not installed (also an ImportError)

A message says the rule, then what was given, then what to do.
"""

import difflib
from collections.abc import Iterable


class TrainwellError(Exception):
    """Everything trainwell raises on purpose."""


class SettingError(TrainwellError, ValueError):
    """An argument or option is outside its range."""


class DataError(TrainwellError, ValueError):
    """The data cannot be used as given."""


class TargetError(DataError):
    """The target column or the labels cannot be used as given."""


class ModelError(TrainwellError):
    """A model, a model file or a model folder cannot be used as given."""


class ScriptError(TrainwellError):
    """A training script could not be observed.

    Args:
        message: one sentence.
        traceback: the script's own, where it raised; else empty.
    """

    def __init__(self, message: str, *, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class StoreError(TrainwellError):
    """A run folder or study cannot be read or written."""


class ResumeError(StoreError):
    """A run cannot be continued as it stands."""


class MissingExtraError(TrainwellError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs: pip install 'trainwell[{extra}]'")


def one_line(error: BaseException) -> str:
    """What an exception says, on one line and at most 300 characters, for use within a sentence.

    Example:
        >>> one_line(ValueError("first\\n   second"))
        'first second'
    """
    said = " ".join(str(error).split())
    return said if len(said) <= 300 else f"{said[:299]}…"


def suggestion(given: str, known: Iterable[str]) -> str:
    """A sentence that names what exists, nearest first.

    Args:
        given: the name that is not known.
        known: the names that are.
    Returns:
        `Did you mean "gelu"?` where a name is near, else `Known: a, b, c.`
    Example:
        >>> suggestion("gleu", ["relu", "gelu"])
        'Did you mean "gelu"?'
        >>> suggestion("x", ["relu", "gelu"])
        'Known: gelu, relu.'
    """
    names = list(known)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    return f'Did you mean "{near[0]}"?' if near else f"Known: {', '.join(sorted(names))}."
