"""A network from the user's own file: `--model file.py:function`."""

import hashlib
import importlib.util
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from trainwell.core.errors import ModelError, one_line, suggestion
from trainwell.core.files import reason
from trainwell.core.records.layout import InputLayout, OutputLayout

SPELLING = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_][A-Za-z0-9_]*)")


def is_user_file(name: str) -> bool:
    """Whether a model's name is `file.py:function`."""
    return SPELLING.fullmatch(name) is not None


def file_sha256(name: str) -> str:
    """The hash of the file in `file.py:function`.

    Raises:
        ModelError: it cannot be read.
    """
    path, _ = _split(name)
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read: {reason(error)}.") from error


def build_from_file(
    name: str,
    *,
    input: InputLayout,  # noqa: A002 - the floor plan's word for it
    features: int,
    output: OutputLayout,
    sha256: str,
) -> nn.Module:
    """Run the user's file and call the function.

    The function may take `channels`, `height`, `width` or `features` of the input and `outputs`, by name; it is given
    those it names. Its network gets normalized float tensors: pictures (batch, channels, height, width), tables
    (batch, features).

    Args:
        name: file.py:function.
        input: what the network is given.
        features: of a table's row, after scaling and one-hot codes.
        output: what it must return: (batch, outputs).
        sha256: the file's hash when the run began; empty to take it as it is.
    Returns:
        The network.
    Raises:
        ModelError: the file cannot be run, has no such function, has changed, or gives no module.
    """
    path, function = _split(name)
    if sha256 and file_sha256(name) != sha256:
        raise ModelError(
            f"A model file must be the one that the run began with, but {path} has changed since. "
            "Restore it, or start a new run."
        )
    made = _function(path, function)
    known: dict[str, Any] = {"outputs": output.size}
    if input.kind == "image":
        known |= {"channels": input.channels, "height": input.height, "width": input.width}
    else:
        known |= {"features": features}
    wanted = inspect.signature(made).parameters
    given = {key: value for key, value in known.items() if key in wanted}
    missing = [
        key
        for key, parameter in wanted.items()
        if key not in given
        and parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    ]
    if missing:
        raise ModelError(
            f"{function} in {path} may ask for {', '.join(known)}, but asks for {', '.join(missing)} too. "
            "Give these a default."
        )
    try:
        network = made(**given)
    except Exception as error:  # the user's code may raise anything
        raise ModelError(f"{function} in {path} raised {type(error).__name__}: {one_line(error)}.") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{function} in {path} must return a torch.nn.Module, but returned {type(network).__name__}.")
    return network


def _split(name: str) -> tuple[Path, str]:
    match = SPELLING.fullmatch(name)
    if match is None:
        raise ModelError(f'A model of yours is given as file.py:function, but got "{name}".')
    return Path(match["file"]).resolve(), match["function"]


def _function(path: Path, function: str) -> Callable[..., Any]:
    if not path.is_file():
        raise ModelError(f"The model file {path} must exist, but there is none.")
    spec = importlib.util.spec_from_file_location(f"trainwell_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ModelError(f"The model file {path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ModelError(f"The model file {path} does not compile: line {error.lineno}: {error.msg}.") from error
    except Exception as error:  # the user's code may raise anything
        raise ModelError(
            f"The model file {path} raised {type(error).__name__} when it was run: {one_line(error)}."
        ) from error
    made = getattr(module, function, None)
    if not callable(made):
        known = [name for name, value in vars(module).items() if inspect.isfunction(value) or inspect.isclass(value)]
        raise ModelError(f'{path} has no function "{function}". {suggestion(function, known)}')
    found: Callable[..., Any] = made
    return found
