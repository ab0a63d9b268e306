"""What a module or a function is: its role, its name in tables, its fan-in."""

import math
from dataclasses import dataclass

from torch import nn

from trainwell.core.records.layer import Role


@dataclass(frozen=True)
class Kind:
    """What a layer is.

    Attributes:
        role: what it does.
        table_name: an activation's name in tables, else the role.
        fan_in: inputs of one unit; None without a matrix.
        fan_out: outputs that one input reaches.
        weights: attribute names of its weight matrices.
    """

    role: Role
    table_name: str
    fan_in: int | None = None
    fan_out: int | None = None
    weights: tuple[str, ...] = ()


def kind_of(module: nn.Module) -> Kind | None:
    """The layer that a module is, or None for a container."""
    role: Role = next((role for types, role in MODULE_ROLES if isinstance(module, types)), "other")
    own = any(True for _ in module.parameters(recurse=False))
    container = isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)) or any(
        True for _ in module.children()
    )
    if role == "other" and container and not own:
        return None
    table_name: str = role
    if role == "activation":
        table_name = next(name for kind, name in MODULE_ACTIVATIONS if isinstance(module, kind))
        if isinstance(module, nn.GELU) and module.approximate == "tanh":
            table_name = "gelu_tanh"
    fan_in, fan_out, weights = _fans(module)
    return Kind(role=role, table_name=table_name, fan_in=fan_in, fan_out=fan_out, weights=weights)


def _fans(module: nn.Module) -> tuple[int | None, int | None, tuple[str, ...]]:
    """Inputs of one unit, outputs that one input reaches, and the names of the weight matrices."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features, ("weight",)
    if isinstance(module, nn.Bilinear):
        return module.in1_features * module.in2_features, module.out_features, ("weight",)
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        # An output pixel is reached by kernel / stride input pixels along each axis: torch's fan-in ignores the stride.
        taps = math.prod(module.kernel_size)
        fan_in = round(module.in_channels // module.groups * taps / math.prod(module.stride))
        return max(1, fan_in), module.out_channels // module.groups * taps, ("weight",)
    if isinstance(module, nn.modules.conv._ConvNd):
        taps = math.prod(module.kernel_size)
        return module.in_channels // module.groups * taps, module.out_channels // module.groups * taps, ("weight",)
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return 1, module.embedding_dim, ("weight",)
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        names = tuple(name for name, tensor in module.named_parameters(recurse=False) if tensor.ndim > 1)
        return module.input_size + module.hidden_size, module.hidden_size, names
    if isinstance(module, nn.MultiheadAttention):
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        return module.embed_dim, module.embed_dim, tuple(name for name in names if getattr(module, name) is not None)
    return None, None, ()


_Types = tuple[type[nn.Module], ...]

MODULE_ACTIVATIONS: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.Sigmoid, "sigmoid"),
    (nn.Tanh, "tanh"),
    (nn.ReLU, "relu"),
    (nn.LeakyReLU, "leaky_relu"),
    (nn.PReLU, "prelu"),
    (nn.ELU, "elu"),
    (nn.SELU, "selu"),
    (nn.GELU, "gelu"),
    (nn.ReLU6, "relu6"),
    (nn.RReLU, "rrelu"),
    (nn.CELU, "celu"),
    (nn.SiLU, "silu"),
    (nn.Mish, "mish"),
    (nn.Hardswish, "hardswish"),
    (nn.Hardsigmoid, "hardsigmoid"),
    (nn.Hardtanh, "hardtanh"),
    (nn.LogSigmoid, "logsigmoid"),
    (nn.Softplus, "softplus"),
    (nn.Softsign, "softsign"),
    (nn.Tanhshrink, "tanhshrink"),
    (nn.Softshrink, "softshrink"),
    (nn.Hardshrink, "hardshrink"),
    (nn.Threshold, "threshold"),
    (nn.GLU, "glu"),
    (nn.Softmax, "softmax"),
    (nn.Softmax2d, "softmax"),
    (nn.Softmin, "softmin"),
    (nn.LogSoftmax, "log_softmax"),
)

MODULE_ROLES: tuple[tuple[_Types, Role], ...] = (
    ((nn.Linear, nn.Bilinear), "linear"),
    ((nn.modules.conv._ConvNd,), "convolution"),
    ((nn.MultiheadAttention,), "attention"),
    ((nn.RNNBase, nn.RNNCellBase), "recurrent"),
    ((nn.Embedding, nn.EmbeddingBag), "embedding"),
    (
        (
            nn.modules.batchnorm._NormBase,
            nn.LayerNorm,
            nn.GroupNorm,
            nn.RMSNorm,
            nn.LocalResponseNorm,
            nn.CrossMapLRN2d,
        ),
        "norm",
    ),
    (tuple(kind for kind, _ in MODULE_ACTIVATIONS), "activation"),
    ((nn.modules.dropout._DropoutNd,), "dropout"),
    (
        (
            nn.modules.pooling._MaxPoolNd,
            nn.modules.pooling._AvgPoolNd,
            nn.modules.pooling._LPPoolNd,
            nn.modules.pooling._AdaptiveAvgPoolNd,
            nn.modules.pooling._AdaptiveMaxPoolNd,
            nn.FractionalMaxPool2d,
            nn.FractionalMaxPool3d,
        ),
        "pool",
    ),
)

# torch's names with the underscores stripped: `relu_`, `__add__` and `__radd__` are `relu`, `add` and `add`.
FUNCTION_ALIASES = {
    "radd": "add",
    "iadd": "add",
    "rmul": "mul",
    "imul": "mul",
    "multiply": "mul",
    "special_expit": "sigmoid",
    "expit": "sigmoid",
    "special_log_softmax": "log_softmax",
    "special_softmax": "softmax",
}

MATRIX_FUNCTIONS: dict[str, Role] = {
    **dict.fromkeys(("linear", "matmul", "rmatmul", "mm", "bmm", "addmm", "einsum", "bilinear"), "linear"),
    **dict.fromkeys((f"conv{n}d" for n in (1, 2, 3)), "convolution"),
    **dict.fromkeys((f"conv_transpose{n}d" for n in (1, 2, 3)), "convolution"),
    **dict.fromkeys(("embedding", "embedding_bag"), "embedding"),
}

FUNCTION_ROLES: dict[str, Role] = {
    **dict.fromkeys((table for _, table in MODULE_ACTIVATIONS), "activation"),
    "gelu_tanh": "activation",
    **dict.fromkeys(
        ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"), "norm"
    ),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout"),
        "dropout",
    ),
    **dict.fromkeys(
        (f"{kind}_pool{n}d" for kind in ("max", "avg", "lp", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)), "pool"
    ),
}
