"""capture/given.py and rehearse.py: a Setup is trained on copies, and nothing of it is disturbed."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from trainwell.capture.given import Setup, as_setup, begin
from trainwell.capture.rehearse import hear_setup, setup_of
from trainwell.core.errors import SettingError


def pair(classes: int = 3) -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(0)
    return torch.randn(100, 4, generator=made), torch.randint(classes, (100,), generator=made)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def states() -> list[Any]:
    # Not Python's: the type checker of the tests draws from it.
    return [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()]  # type: ignore[index]


def test_nothing_is_disturbed() -> None:
    model = network()
    model.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    F.cross_entropy(model(pair()[0]), pair()[1]).backward()
    optimizer.step()
    drawn = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(*pair()), batch_size=10, shuffle=True, generator=drawn)
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict())), states(), drawn.get_state()
    gradients = [each.grad.clone() for each in model.parameters() if each.grad is not None]
    heard = hear_setup(Setup(model, train=loader, optimizer=optimizer), steps=15, seconds=60.0)
    assert heard.steps is not None
    assert heard.steps.taken == 15
    assert heard.trouble == ""
    after = copy.deepcopy((model.state_dict(), optimizer.state_dict())), states(), drawn.get_state()
    assert str(before[0][1]) == str(after[0][1])
    assert all(torch.equal(tensor, after[0][0][name]) for name, tensor in before[0][0].items())
    assert before[1] == after[1]
    assert torch.equal(before[2], after[2])
    assert not model.training
    left = [each.grad for each in model.parameters() if each.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(gradients, left, strict=True))


def test_it_is_the_training_that_its_author_would_write() -> None:
    inputs, labels = pair()
    setup = Setup(network(), train=(inputs, labels), optimizer=lambda p: torch.optim.SGD(p, lr=0.1), batch_size=20)
    training = begin(setup)
    batches = [next(training.batches) for _ in range(7)]
    seen = torch.cat([batch[0] for batch in batches[:5]])
    assert torch.equal(seen.sum(dim=1).sort().values, inputs.sum(dim=1).sort().values)
    own = network()
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    for batch in batches[:2]:
        torch.manual_seed(5)
        training.step(training.model, batch, training.loss, training.optimizer)
        torch.manual_seed(5)
        optimizer.zero_grad()
        F.cross_entropy(own(batch[0]), batch[1]).backward()
        optimizer.step()
    for name, tensor in own.state_dict().items():
        assert torch.equal(tensor, training.model.state_dict()[name])


def test_a_step_of_its_own_is_heard() -> None:
    def forgetful(model: nn.Module, batch: Any, loss: Any, optimizer: Any) -> Tensor:
        value: Tensor = loss(model(batch[0]), batch[1])
        value.backward()
        optimizer.step()
        return value

    heard = hear_setup(Setup(network(), train=pair(), step=forgetful), steps=10, seconds=60.0)
    assert heard.steps is not None
    assert heard.steps.gradients[0].kept == heard.steps.gradients[0].steps > 5


def test_lbfgs_is_copied_with_what_it_keeps() -> None:
    model = nn.Linear(4, 3)

    def by_closure(model: nn.Module, batch: Any, loss: Any, optimizer: Any) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            value: Tensor = loss(model(batch[0]), batch[1])
            value.backward()
            return value

        optimizer.step(closure)

    before = model.weight.detach().clone()
    setup = Setup(model, train=pair(), optimizer=torch.optim.LBFGS(model.parameters()), step=by_closure)
    heard = hear_setup(setup, steps=4, seconds=60.0)
    assert heard.steps is not None
    assert heard.steps.values[-1] < heard.steps.values[0]
    assert torch.equal(before, model.weight)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": nn.Linear(4, 3), "train": None}, "`train` must be a pair"),
        ({"model": nn.Linear(4, 3), "train": (torch.ones(3, 4), torch.ones(2))}, r"equally many.*\[3, 2\]"),
        ({"model": nn.Linear(4, 3), "train": (["a"], ["b"])}, "tensors or arrays of numbers"),
        ({"model": nn.Linear(4, 3), "train": pair(), "batch_size": 0}, "`batch_size >= 1`"),
        ({"model": network, "train": pair(), "optimizer": torch.optim.SGD(nn.Linear(1, 1).parameters())}, "both as"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        Setup(**fields)


def test_what_a_function_may_return(tmp_path: Path) -> None:
    made = as_setup({"model": nn.Linear(4, 3), "train": pair(), "batch_size": 5}, of="setup")
    assert made.batch_size == 5
    assert made.assumed == ("the loss is cross-entropy", "the optimizer is AdamW at 0.001")
    for wrong, said in ((None, "returned None"), ({"network": 1}, "`model` and `train` at least"), (3, "a int")):
        with pytest.raises(SettingError, match=said):
            as_setup(wrong, of="setup of x.py")
    file = tmp_path / "mine.py"
    file.write_text("import torch\ndef seup(): return 3\n")
    with pytest.raises(SettingError, match="seup"):
        setup_of(str(file), "setup")


def test_a_lightning_module_is_trained_by_its_own_step() -> None:
    class Lit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def training_step(self, batch: Any, _number: int) -> dict[str, Tensor]:
            return {"loss": F.cross_entropy(self.layer(batch[0]), batch[1])}

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]

    setup = as_setup((Lit(), DataLoader(TensorDataset(*pair()), batch_size=25)), of="setup")
    heard = hear_setup(setup, steps=12, seconds=60.0)
    assert heard.steps is not None
    assert heard.steps.values[-1] < heard.steps.values[0]
