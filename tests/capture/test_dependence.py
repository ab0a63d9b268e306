"""capture/dependence.py: what depends on what, and when it cannot be told."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.listener import Listener
from trainwell.core.records.dependence import PositionDependence, SampleDependence

Step = Callable[[nn.Module, int], Tensor]


def asked(
    model: nn.Module, step: Step, *, steps: int = 2
) -> tuple[SampleDependence | None, PositionDependence | None, dict[str, str]]:
    # Whoever was asked before is left in test mode.
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    listener = Listener(lambda _: None)
    with listener.listening():
        for number in range(steps):
            optimizer.zero_grad()
            step(model, number).backward()
            optimizer.step()
        found = listener.afterwards()
    assert listener.troubles == []
    return found.samples, found.positions, found.reasons


def drawn(*shape: int, number: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(number))


def classes(*shape: int, number: int = 0, count: int = 3) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(number))


class Made(nn.Module):
    """A network from a function, over layers of its own."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleDict(layers)

    def forward(self, *given: Tensor) -> Tensor:
        return self.function(self.layers, *given)


def by_rows(model: nn.Module, number: int) -> Tensor:
    return F.cross_entropy(model(drawn(12, 5, 4, number=number)), classes(12, number=number))


@pytest.mark.parametrize(
    ("function", "mixes"),
    [
        (lambda layers, x: layers["last"](x.mean(dim=1)), False),
        (lambda layers, x: layers["last"](x.transpose(0, 1).mean(dim=0)), False),
        (lambda layers, x: layers["last"](x.reshape(5, 12, 4).mean(dim=0)), True),
        (lambda layers, x: layers["last"](x.mean(dim=1) - x.mean(dim=(0, 1))), True),
        (lambda layers, x: layers["norm"](layers["last"](x.mean(dim=1))), False),
        (lambda layers, x: layers["last"](F.dropout(x.mean(dim=1), 0.5)), False),
    ],
)
def test_samples_are_seen_to_mix_where_they_do(function: Callable[..., Tensor], mixes: bool) -> None:
    torch.manual_seed(0)
    samples, _, reasons = asked(Made(function, last=nn.Linear(4, 3), norm=nn.BatchNorm1d(3)), by_rows)
    assert samples is not None, reasons
    assert samples.samples == 9
    assert (samples.changed > 0) == (samples.size > 1e-3) == mixes
    assert samples.where.line is not None


@pytest.mark.parametrize(
    "layer",
    [
        lambda first: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=first),
        lambda first: nn.GRU(4, 4, batch_first=first),
    ],
    ids=["attention", "recurrent"],
)
@pytest.mark.parametrize("first", [True, False])
def test_layers_that_expect_another_axis_first_mix(layer: Callable[[bool], nn.Module], first: bool) -> None:
    torch.manual_seed(0)

    def read(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        made = layers["body"](x)
        found: Tensor = layers["last"]((made[0] if isinstance(made, tuple) else made)[:, -1])
        return found

    samples, _, reasons = asked(Made(read, body=layer(first), last=nn.Linear(4, 3)), by_rows)
    assert samples is not None, reasons
    assert (samples.changed > 0) == (not first)


def same_batch(model: nn.Module, _: int) -> Tensor:
    return F.cross_entropy(model(drawn(12, 5, 4)), classes(12))


def two_inputs(model: nn.Module, number: int) -> Tensor:
    return F.cross_entropy(model(drawn(12, 4, number=number), drawn(12, 12)), classes(12))


def square(model: nn.Module, number: int) -> Tensor:
    return F.cross_entropy(model(drawn(12, 12, 4, number=number)), classes(12))


def steps_of_one_series(model: nn.Module, number: int) -> Tensor:
    return F.mse_loss(model(drawn(12, 4, number=number)), drawn(12, 1))


MEAN = Made(lambda layers, x: layers["last"](x.flatten(1, -2).mean(dim=1)), last=nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("model", "step", "why"),
    [
        (MEAN, same_batch, "all steps see the same batch"),
        (Made(lambda layers, x, by: layers["last"](by @ x), last=nn.Linear(4, 3)), two_inputs, "more than one tensor"),
        (MEAN, square, "which axis holds the samples cannot be told"),
        (
            Made(lambda layers, x: layers["last"](layers["rows"](x)[0]), rows=nn.GRU(4, 4), last=nn.Linear(4, 1)),
            steps_of_one_series,
            "looks at the whole batch by design",
        ),
        (
            Made(
                lambda layers, x: layers["norm"](layers["last"](x.mean(dim=1))),
                last=nn.Linear(4, 3),
                norm=nn.BatchNorm1d(3, track_running_stats=False),
            ),
            by_rows,
            "looks at the whole batch by design",
        ),
    ],
)
def test_where_it_cannot_be_told_nothing_is_said(model: nn.Module, step: Step, why: str) -> None:
    samples, _, reasons = asked(model, step)
    assert samples is None
    assert why in reasons["samples"]


TEXT = classes(30, 17, count=7)


def next_number(model: nn.Module, number: int) -> Tensor:
    text = TEXT[6 * number : 6 * number + 6]
    return F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())


def next_number_of_columns(model: nn.Module, number: int) -> Tensor:
    text = TEXT[6 * number : 6 * number + 6].T
    return F.cross_entropy(model(text[:-1]).flatten(0, 1), text[1:].flatten())


def shifted_within(model: nn.Module, number: int) -> Tensor:
    text = TEXT[6 * number : 6 * number + 6]
    return F.cross_entropy(model(text)[:, :-1].flatten(0, 1), text[:, 1:].flatten())


def recurrent(*, both: bool, columns: bool) -> nn.Module:
    torch.manual_seed(0)
    return Made(
        lambda layers, text: layers["last"](layers["body"](layers["number"](text))[0]),
        number=nn.Embedding(7, 8),
        body=nn.GRU(8, 8, batch_first=not columns, bidirectional=both),
        last=nn.Linear(16 if both else 8, 7),
    )


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("step", [next_number, next_number_of_columns, shifted_within])
def test_a_network_that_sees_what_it_is_to_predict(step: Step, both: bool) -> None:
    columns = step is next_number_of_columns
    _, positions, reasons = asked(recurrent(both=both, columns=columns), step)
    assert positions is not None, reasons
    assert positions.predicted == 1.0
    assert positions.positions == 8
    assert (positions.changed > 0) == (positions.size > 1e-3) == both


def test_other_targets_are_no_prediction() -> None:
    _, positions, reasons = asked(MEAN, by_rows)
    assert positions is None
    assert reasons["positions"] == "no network's targets are the next positions of its inputs"


def test_what_the_network_raises_is_a_reason() -> None:
    def moody(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        if not layers.training:
            raise RuntimeError("only for training")
        found: Tensor = layers["last"](x.mean(dim=1))
        return found

    samples, _, reasons = asked(Made(moody, last=nn.Linear(4, 3)), by_rows)
    assert samples is None
    assert reasons["samples"] == "in test mode the network raised RuntimeError: only for training"


TABLE = torch.randn(60, 5, 4, generator=torch.Generator().manual_seed(1))


def gathered(model: nn.Module, number: int) -> Tensor:
    """Rows of a table, whose outputs are many numbers each."""
    rows = torch.randperm(60, generator=torch.Generator().manual_seed(number))[:12]
    found: Tensor = model(TABLE[rows]).square().mean()
    return found


def stacked(model: nn.Module, number: int) -> Tensor:
    """Windows of a text, side by side: the samples stand along the second axis."""
    text = classes(200, number=7, count=9)
    starts = torch.randint(180, (12,), generator=torch.Generator().manual_seed(number)).tolist()
    found: Tensor = model(torch.stack([text[at : at + 10] for at in starts], dim=1)).square().mean()
    return found


@pytest.mark.parametrize(
    ("function", "mixes"),
    [
        (lambda layers, x: layers["last"](x), False),
        (lambda layers, x: layers["last"](x.reshape(5, 12, 4).transpose(0, 1)), True),
    ],
)
def test_samples_that_the_script_gathered_are_known_without_a_loss(
    function: Callable[..., Tensor], mixes: bool
) -> None:
    torch.manual_seed(0)
    samples, _, reasons = asked(Made(function, last=nn.Linear(4, 6)), gathered)
    assert samples is not None, reasons
    assert (samples.changed > 0) == mixes


@pytest.mark.parametrize("first", [True, False])
def test_samples_along_the_second_axis_mix_where_it_is_taken_for_positions(first: bool) -> None:
    torch.manual_seed(0)
    model = Made(
        lambda layers, x: layers["read"](layers["word"](x))[0],
        word=nn.Embedding(9, 4),
        read=nn.GRU(4, 4, batch_first=first),
    )
    samples, _, reasons = asked(model, stacked)
    assert samples is not None, reasons
    assert (samples.changed > 0) == first
