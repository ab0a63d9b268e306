"""What is known of one layer of a network, without its tensors."""

from typing import Literal

from trainwell.core.records.record import record

Shape = tuple[int, ...]

Role = Literal[
    "linear",
    "convolution",
    "attention",
    "recurrent",
    "embedding",
    "norm",
    "activation",
    "dropout",
    "pool",
    "other",
]

WEIGHTED: tuple[Role, ...] = ("linear", "convolution", "attention", "recurrent", "embedding")
"""Roles that compute with a weight matrix; whatever else lies between two of them "follows" the first."""

NOT_ELEMENTWISE = ("norm", "dropout", "pool", "add", "softmax", "log_softmax", "softmin", "glu")
"""What may stand in `followed_by` without being an elementwise nonlinearity."""


@record
class LayerInfo:
    """One layer as `trainwell.anatomy.trace` saw it, in execution order.

    Attributes:
        name: dotted name of the module, empty for the network itself; a functional call is named after the module that
            makes it and the function: `block.relu()`, `block.matmul(block.weight)`.
        kind: class name (`Conv2d`), or the function's name.
        role: what it does.
        table_name: its name in tables: an activation's (`leaky_relu`), else the role.
        functional: a call of a function: there is no module of this name.
        followed_by: table names of what its output runs through before the next weighted layer: activations, "norm",
            "dropout", "pool", "add" (a residual sum), "softmax", ... Filled for weighted layers only.
        input_shapes: shapes of the tensors of its first call; empty if it was never called.
        output_shapes: likewise.
        fan_in: inputs of one unit, >= 1 (convolution: kernel height x width x channels / groups); None: no matrix.
        fan_out: outputs that one input reaches, >= 1.
        parameters: numbers it holds itself (not those of the layers inside it).
        weights: dotted names of its weight matrices, as attributes (a parametrized weight is not among the parameters).
        shares_weight_with: names of the layers that hold the same matrix, and other names of this very module.
        calls: how often it was called in one pass, >= 0.
        output_calls: how many of these calls no weighted layer comes after, 0 to `calls`.
        gates: its output is multiplied with another signal (squeeze-and-excitation, gated units).
        ends_branch: the last weighted layer (or the last norm after it) of a residual branch.
    """

    name: str
    kind: str
    role: Role
    table_name: str
    functional: bool = False
    followed_by: tuple[str, ...] = ()
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    fan_in: int | None = None
    fan_out: int | None = None
    parameters: int = 0
    weights: tuple[str, ...] = ()
    shares_weight_with: tuple[str, ...] = ()
    calls: int = 0
    output_calls: int = 0
    gates: bool = False
    ends_branch: bool = False

    @property
    def is_weighted(self) -> bool:
        """Whether it computes with a weight matrix."""
        return self.role in WEIGHTED

    @property
    def is_output(self) -> bool:
        """Whether no weighted layer comes after it on the way to the network's output."""
        return self.output_calls > 0

    @property
    def activation(self) -> str | None:
        """Table name of the first elementwise nonlinearity that follows it; None if there is none."""
        return next((name for name in self.followed_by if name not in NOT_ELEMENTWISE), None)
