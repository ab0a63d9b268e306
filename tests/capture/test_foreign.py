"""What scripts of other people do that no script of ours did: optimizers that are not torch's, among others."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from trainwell.capture import foreign
from trainwell.capture.interventions import changed
from trainwell.capture.listener import Listener
from trainwell.capture.stored import is_same
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.diagnose import diagnose


class Plain:
    """Gradient descent by an optimizer of fastai's form, which knows nothing of torch.optim."""

    def __init__(self, parameters: list[Tensor], *, lr: float) -> None:
        self.param_lists, self.hypers = [parameters], [{"lr": lr, "wd": 0.01}]

    def step(self) -> None:
        for parameters, settings in zip(self.param_lists, self.hypers, strict=True):
            for each in parameters:
                if each.grad is not None:
                    each.data.add_(each.grad.data, alpha=-settings["lr"])


def trained(*, lr: float, clears: bool = True) -> tuple[Steps, dict[str, Tensor], list[float]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    inputs, labels = torch.randn(40, 6), torch.randint(0, 3, (40,))
    optimizer = Plain(list(model.parameters()), lr=lr)
    listener, rates = Listener(lambda _: None), []
    with listener.listening():
        for chosen in torch.arange(40).split(8):
            if clears:
                model.zero_grad()
            F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
            rates.append(optimizer.hypers[0]["lr"])
    assert not listener.troubles
    return listener.heard(), copy.deepcopy(model.state_dict()), rates


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "FOREIGN", {__name__: "Plain"})


@pytest.mark.usefixtures("known")
def test_steps_of_an_optimizer_that_is_not_torchs_are_heard() -> None:
    step = Plain.step
    steps, _, _ = trained(lr=0.1)
    assert steps.taken == 5
    assert len(steps.values) == 5
    assert [each.groups for each in steps.rates] == [((0.1,) * 5,)]
    assert all(layer.given for layer in steps.layers)
    assert not [each for each in diagnose(Observation(steps=steps)).findings if each.severity != "info"]
    assert Plain.step is step


@pytest.mark.usefixtures("known")
def test_its_mistakes_are_those_of_any_other() -> None:
    steps, _, _ = trained(lr=0.1, clears=False)
    assert [each.kept for each in steps.gradients] == [4]


@pytest.mark.usefixtures("known")
def test_its_rate_is_changed_from_outside_during_the_step_alone() -> None:
    with changed(Fork(changed="learning rate", factor=0.1)):
        _, found, rates = trained(lr=0.1)
    assert rates == [0.1] * 5
    for name, tensor in trained(lr=0.01)[1].items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("clears", [True, False])
def test_fastai_has_such_an_optimizer(clears: bool) -> None:
    fastai = pytest.importorskip("fastai.optimizer")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    inputs, labels = torch.randn(40, 6), torch.randint(0, 3, (40,))
    optimizer = fastai.SGD(list(model.parameters()), lr=0.1)
    listener = Listener(lambda _: None)
    with listener.listening():
        for chosen in torch.arange(40).split(8):
            if clears:
                optimizer.zero_grad()
            F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
    steps = listener.heard()
    assert (steps.taken, [each.kept for each in steps.gradients]) == (5, [0 if clears else 4])


@pytest.mark.parametrize("samples", [1, 8])
def test_a_column_of_another_layout_is_heard_as_any(samples: int) -> None:
    torch.manual_seed(0)
    table, model = torch.randint(0, 5, (1, 64)), nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(4, 1))
    optimizer, listener = torch.optim.SGD(model.parameters(), lr=0.1), Listener(lambda _: None)
    loader = DataLoader(Columns(table, samples), batch_size=None)
    with listener.listening():
        for column in loader:
            assert column.stride() == (1, 64)
            optimizer.zero_grad()
            model(column).square().mean().backward()
            optimizer.step()
    steps = listener.heard()
    assert not listener.troubles
    assert steps.samples == (samples,) * (64 // samples)


class Columns(Dataset[Tensor]):
    """Parts of a table's only row, as columns: torch calls them contiguous, and strides over the whole row."""

    def __init__(self, table: Tensor, samples: int) -> None:
        self.table, self.samples = table, samples

    def __len__(self) -> int:
        return self.table.shape[1] // self.samples

    def __getitem__(self, place: int) -> Tensor:
        if place >= len(self):
            raise IndexError(place)
        return self.table[:, place * self.samples : (place + 1) * self.samples].t()


class OnGraph(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        found: Tensor = edges @ self.second(torch.relu(edges @ self.first(nodes)))
        return found


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("laid_out", [Tensor.to_sparse, Tensor.to_sparse_csr])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_sparse_inputs_are_heard_as_far_as_they_can_be(laid_out: Callable[[Tensor], Tensor], broken: bool) -> None:
    torch.manual_seed(0)
    nodes, labels, model = torch.randn(12, 6).relu(), torch.randint(0, 2, (12,)), OnGraph()
    edges = torch.rand(12, 12).round() + torch.eye(12)
    edges[0, 0] = torch.nan if broken else 1.0
    inputs = (laid_out(nodes), laid_out(edges))
    optimizer, listener = torch.optim.SGD(model.parameters(), lr=0.1), Listener(lambda _: None)
    with listener.listening():
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(*inputs), labels).backward()
            optimizer.step()
    steps, after = listener.heard(), listener.afterwards()
    assert not listener.troubles
    assert (steps.taken, steps.networks) == (4, 1)
    assert (steps.input_not_finite > 0) == broken
    if not broken:
        assert not [each for each in diagnose(Observation(steps=steps)).findings if each.severity != "info"]
    assert [layer.name for layer in after.starts[0].layers] == ["first", "second"]
    assert after.reasons["inputs"] == "an input is sparse, and its samples cannot be exchanged"


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
@pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support is in beta state")
def test_tensors_are_the_same_where_their_numbers_are(layout: torch.layout) -> None:
    torch.manual_seed(0)
    one = torch.rand(5, 5).round()
    other = one.clone()
    other[2, 3] += 1
    dense = [one, one.clone(), other]
    one, same, other = (each if layout is torch.strided else each.to_sparse(layout=layout) for each in dense)
    assert is_same(one, same)
    assert not is_same(one, other)
    assert not is_same(one, dense[0].to_sparse() if layout is torch.strided else dense[0])
