"""From hyperparameters to a network: where the chapters meet.

The gain that belongs to an activation is joined to an initialization here, and SELU to its dropout and its start.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainwell.activations import ACTIVATIONS
from trainwell.activations.table import activation
from trainwell.core.errors import ModelError, SettingError, one_line, suggestion
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.core.seeds import generator, seeded
from trainwell.initialization import initialize
from trainwell.models.backbones import is_backbone
from trainwell.models.convnet import ConvNet
from trainwell.models.image_input import ImageInput
from trainwell.models.mlp import Mlp
from trainwell.models.resnet import ResNet
from trainwell.models.table_input import EMBEDDINGS, TableInput
from trainwell.models.transferred import build_transferred
from trainwell.models.userfile import build_from_file, is_user_file

Factory = Callable[[], nn.Module]

FITTED_ON = 20_000
"""Training samples that the input's statistics are taken from: their means are then known to a 140th of a deviation."""


class Wrapped(nn.Module):
    """Somebody's network behind the input that normalizes.

    Args:
        input: raw batch -> float tensors.
        network: float tensors -> outputs.
    """

    def __init__(self, input: nn.Module, network: nn.Module) -> None:  # noqa: A002 - the floor plan's word for it
        super().__init__()
        self.input = input
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        """Outputs of a raw batch."""
        found: Tensor = self.network(self.input(batch))
        return found


def build_model(
    point: Hyperparameters,
    *,
    input: InputLayout,  # noqa: A002 - the floor plan's word for it
    output: OutputLayout,
    samples: Tensor | None = None,
    index: Tensor | None = None,
    seed: int = 0,
    factory: Factory | None = None,
    model_sha256: str = "",
) -> nn.Module:
    """A network as the hyperparameters say, its input fitted on training samples.

    Args:
        point: architecture, activation, initialization, dropout are read.
        input: what it is given.
        output: what it returns.
        samples: all samples, possibly memory-mapped; None leaves the input unfitted, for weights that are loaded.
        index: the training part of them.
        seed: of the initial weights.
        factory: makes a network that exists only in Python.
        model_sha256: what the user's model file must hash to; empty for any.
    Returns:
        The network: raw batch -> (batch, outputs), or (batch, members, outputs) in training mode.
    Raises:
        SettingError: an unknown name.
        ModelError: the user's network cannot be built or returns another shape.
    """
    architecture = point.architecture
    if is_backbone(architecture.name):
        return build_transferred(point, input=input, output=output, samples=samples, index=index, seed=seed)
    draw = generator(seed, "weights")
    known = activation(point.activation)
    first: TableInput | ImageInput
    own = architecture.name in MODELS
    if input.kind == "table":
        embedding = EMBEDDINGS[architecture.embedding if own else "none"]
        first = TableInput(input, **embedding, generator=draw)
    else:
        first = ImageInput(input, whitening=own and architecture.name != "mlp")
    if samples is not None and index is not None:
        step = -(-len(index) // FITTED_ON)
        first.fit(samples[index[::step]])
    with seeded(seed, "network"):
        if own:
            model = MODELS[architecture.name](first, point, output, known.make, draw)
        else:
            model = Wrapped(first, _foreign(point, first, input, output, factory, model_sha256))
    if not own:
        _check_output(model, input, output)
    scheme = point.initialization.scheme
    if scheme != "own":
        batch = samples[index[:64]] if samples is not None and index is not None else None
        initialize(model, scheme, batch=batch, gain=known.gain, generator=draw)
    return model


def _foreign(
    point: Hyperparameters,
    first: TableInput | ImageInput,
    input: InputLayout,  # noqa: A002
    output: OutputLayout,
    factory: Factory | None,
    sha256: str,
) -> nn.Module:
    name = point.architecture.name
    if factory is not None:
        network = factory()
        if not isinstance(network, nn.Module):
            raise ModelError(f"A model factory must return a torch.nn.Module, but returned {type(network).__name__}.")
        return network
    if is_user_file(name):
        features = first.width if isinstance(first, TableInput) else 0
        return build_from_file(name, input=input, features=features, output=output, sha256=sha256)
    raise SettingError(
        f'A model must be one of the table or file.py:function, but got "{name}". {suggestion(name, MODELS)}'
    )


def _check_output(model: nn.Module, input: InputLayout, output: OutputLayout) -> None:  # noqa: A002
    dtype = torch.uint8 if input.kind == "image" else torch.float32
    try:
        with torch.no_grad():
            found = model.eval()(torch.zeros(2, *input.shape, dtype=dtype))
    except Exception as error:  # the user's code may raise anything
        raise ModelError(
            f"The model must take batches of this data, but raised {type(error).__name__} on one: {one_line(error)}."
        ) from error
    finally:
        model.train()
    if not isinstance(found, Tensor) or found.shape != (2, output.size):
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        what = "logits, one a class" if output.task == "classification" else "numbers, one a target"
        raise ModelError(
            f"The model must return (batch, {output.size}): {what}; but for a batch of 2 it returned {got}. "
            "Change its last layer."
        )


def _mlp(
    first: TableInput | ImageInput,
    point: Hyperparameters,
    output: OutputLayout,
    make: Callable[[], nn.Module],
    draw: torch.Generator,
) -> nn.Module:
    if isinstance(first, ImageInput):
        raise SettingError(
            'The model "mlp" is for tables, but the data are pictures. Use --model convnet, resnet or auto.'
        )
    return Mlp(
        first,
        task=output.task,
        width=point.architecture.width,
        depth=point.architecture.depth,
        members=point.architecture.members,
        outputs=output.size,
        activation=make,
        dropout=point.regularization.dropout,
        gain=ACTIVATIONS[point.activation].gain,
        generator=draw,
    )


def _images(first: TableInput | ImageInput, name: str) -> ImageInput:
    if isinstance(first, TableInput):
        raise SettingError(f'The model "{name}" is for pictures, but the data are a table. Use --model mlp or auto.')
    return first


def _convnet(
    first: TableInput | ImageInput,
    point: Hyperparameters,
    output: OutputLayout,
    make: Callable[[], nn.Module],
    draw: torch.Generator,
) -> nn.Module:
    return ConvNet(
        _images(first, "convnet"),
        width=point.architecture.width,
        depth=point.architecture.depth,
        outputs=output.size,
        activation=make,
        dropout=point.regularization.dropout,
        generator=draw,
    )


def _resnet(
    first: TableInput | ImageInput,
    point: Hyperparameters,
    output: OutputLayout,
    make: Callable[[], nn.Module],
    draw: torch.Generator,
) -> nn.Module:
    return ResNet(
        _images(first, "resnet"),
        width=point.architecture.width,
        depth=point.architecture.depth,
        outputs=output.size,
        activation=make,
        gain=ACTIVATIONS[point.activation].gain,
        dropout=point.regularization.dropout,
        stochastic_depth=point.regularization.stochastic_depth,
        generator=draw,
    )


MODELS = {"mlp": _mlp, "convnet": _convnet, "resnet": _resnet}
"""Networks by name: (input, point, output, activation, generator) -> module."""
