"""A multilayer perceptron for tables, alone or as an ensemble whose members share their weights."""

import itertools
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import Task
from trainwell.models.table_input import TableInput
from trainwell.regularization import Dropout

FIRST_OUTPUT_STD = 0.05
"""Of the first outputs, roughly: the loss starts within 0.01 of log(classes), or of the targets' variance."""


class Mlp(nn.Module):
    r"""Hidden layers over a table's features, and one output for each member.

    .. math:: h_0 = s_m \odot \text{input}(x), \quad h_l = \text{drop}(f(W_l h_{l-1} + b_{l,m})), \quad
        y_m = V_m h_L + v_m

    Member m has its own feature scales s, biases b and output V, v; the matrices W are shared. Training optimizes the
    mean of the members' losses (never the loss of their mean), prediction averages the members.

    Args:
        input: makes the features.
        task: classification or regression.
        width: units of a hidden layer, >= 1.
        depth: hidden layers, >= 0.
        members: networks in one, >= 1.
        outputs: classes or targets, >= 1.
        activation: makes the activation of one hidden layer.
        dropout: probability to drop a hidden unit, in [0, 1).
        gain: of the initial weights, for the activation, > 0.
        generator: draws the initial weights.
    Returns:
        Training mode, members > 1: (batch, members, outputs). Else (batch, outputs): the logarithm of the members' mean
        probabilities (classification), or the members' mean (regression).
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> from trainwell.core.records.layout import InputLayout
        >>> layout = InputLayout(kind="table", numbers=3)
        >>> generator = torch.Generator().manual_seed(0)
        >>> features = TableInput(layout, generator=generator)
        >>> network = Mlp(features, task="classification", width=8, depth=2, members=4, outputs=5, generator=generator)
        >>> network(torch.zeros(7, 3)).shape, network.eval()(torch.zeros(7, 3)).shape
        (torch.Size([7, 4, 5]), torch.Size([7, 5]))

    Source: notes, Regularization (dropout is an ensemble that shares parameters); Gorishniy et al. 2025 (TabM);
    Holzmueller et al. 2024 (feature scales, learnt faster than the rest).
    """

    def __init__(
        self,
        input: TableInput,  # noqa: A002 - the floor plan's word for it
        *,
        task: Task,
        width: int,
        depth: int,
        outputs: int,
        members: int = 1,
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        gain: float = math.sqrt(2.0),
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        _refuse(width=width, depth=depth, outputs=outputs, members=members, dropout=dropout, gain=gain)
        self.task = task
        self.members = members
        self.input = input
        self.scale = nn.Parameter(_first_scales(members, input.width, generator))
        widths = [input.width] + [width] * depth
        self.hidden = nn.ModuleList(
            Hidden(
                inputs, units, members=members, activation=activation(), dropout=dropout, gain=gain, generator=generator
            )
            for inputs, units in itertools.pairwise(widths)
        )
        std = FIRST_OUTPUT_STD / math.sqrt(widths[-1])
        self.weight = nn.Parameter(std * torch.randn(members, widths[-1], outputs, generator=generator))
        self.bias = nn.Parameter(torch.zeros(members, outputs))

    def forward(self, rows: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch *member outputs"]:
        """Outputs of raw rows."""
        hidden = self.input(rows).unsqueeze(1) * self.scale
        for layer in self.hidden:
            hidden = layer(hidden)
        # (members, batch, width) @ (members, width, outputs)
        each = torch.baddbmm(self.bias.unsqueeze(1), hidden.transpose(0, 1), self.weight).transpose(0, 1)
        if self.members == 1:
            return each.squeeze(1)
        return each if self.training else combined(each, task=self.task)


class Hidden(nn.Module):
    """One hidden layer of all members: a shared matrix, each member's bias, activation, dropout."""

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        members: int,
        activation: nn.Module,
        dropout: float,
        gain: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units, bias=False)
        with torch.no_grad():
            self.linear.weight.normal_(0.0, gain / math.sqrt(inputs), generator=generator)
        self.bias = nn.Parameter(torch.randn(members, units, generator=generator))
        self.activation = activation
        self.dropout = Dropout(dropout)

    def forward(self, features: Float[Tensor, "batch members inputs"]) -> Float[Tensor, "batch members units"]:
        """Hidden units."""
        hidden: Tensor = self.dropout(self.activation(self.linear(features) + self.bias))
        return hidden


def combined(each: Float[Tensor, "batch members outputs"], *, task: Task) -> Float[Tensor, "batch outputs"]:
    r"""What the members say together.

    .. math:: \log \tfrac1M \sum_m \text{softmax}(y_m) \quad\text{or}\quad \tfrac1M \sum_m y_m

    Args:
        each: logits, or standardized targets, of each member.
        task: classification or regression.
    Returns:
        Log probabilities (a softmax of them changes nothing), or means.
    Example:
        >>> combined(torch.tensor([[[0.0], [2.0]]]), task="regression").tolist()
        [[1.0]]
    """
    if task == "regression":
        return each.mean(dim=1)
    return torch.log_softmax(each, dim=-1).logsumexp(dim=1) - math.log(each.shape[1])


def _first_scales(members: int, features: int, generator: torch.Generator) -> Tensor:
    """A single network keeps its features as they are; members that share weights begin as different as can be."""
    if members == 1:
        return torch.ones(1, features)
    return 2.0 * torch.randint(0, 2, (members, features), generator=generator).float() - 1.0


def _refuse(*, width: int, depth: int, outputs: int, members: int, dropout: float, gain: float) -> None:
    counts = {"width": width, "outputs": outputs, "members": members}
    problems = [f"`{name} >= 1` must hold, but got {count}." for name, count in counts.items() if count < 1]
    if depth < 0:
        problems.append(f"`depth >= 0` must hold, but got {depth}. Choose 0 for a linear model.")
    if not 0.0 <= dropout < 1.0:
        problems.append(f"`0 <= dropout < 1` must hold, but got {dropout}. It is the probability to drop a unit.")
    if not gain > 0.0:
        problems.append(f"`gain > 0` must hold, but got {gain}. Choose sqrt(2) for ReLU.")
    if problems:
        raise SettingError(" ".join(problems))
