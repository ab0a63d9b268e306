"""capture/ears/fits.py: simple models of the first samples."""

import pytest
import torch
from sklearn.datasets import load_digits, load_iris, load_wine
from torch import Tensor

from trainwell.capture.ears.fits import FEWEST, simple_fits


def given(load: object) -> tuple[Tensor, Tensor]:
    assert callable(load)
    inputs, labels = (torch.tensor(each, dtype=torch.float32) for each in load(return_X_y=True))
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))[:900]
    return inputs[order], labels[order].unsqueeze(1)


def test_digits_are_no_scale() -> None:
    found = simple_fits(*given(load_digits), linear=False)
    assert found is not None
    assert (found.classes, found.samples) == (10, 300)
    assert found.rounded > 0.3 > 5 * found.chosen
    assert found.other_alone - found.linear_alone > 5 * (found.other_alone + found.linear_alone) ** 0.5


@pytest.mark.parametrize("load", [load_wine, load_iris])
def test_where_the_numbers_do_as_well_nothing_is_shown(load: object) -> None:
    found = simple_fits(*given(load), linear=False)
    assert found is not None
    assert found.other_alone - found.linear_alone <= 2


def test_a_scale_is_fitted_better_as_numbers() -> None:
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(900, 5, generator=draw)
    stars = (2 + inputs[:, 0] + 0.5 * torch.randn(900, generator=draw)).round().clamp(0, 4)
    found = simple_fits(inputs, stars.unsqueeze(1), linear=False)
    assert found is not None
    assert found.rounded < found.chosen


def test_numbers_are_asked_about_where_the_network_is_linear() -> None:
    inputs = torch.rand(300, 1, generator=torch.Generator().manual_seed(0)) * 6
    found = simple_fits(inputs, inputs.sin(), linear=True)
    assert found is not None
    assert found.classes == 0
    assert found.linear > 0.2 > 100 * found.curved
    assert simple_fits(inputs, inputs.sin(), linear=False) is None


def test_a_sample_that_comes_again_is_asked_about_once() -> None:
    inputs, labels = given(load_digits)
    few = torch.arange(3 * FEWEST) % (FEWEST - 1)
    assert simple_fits(inputs[few], labels[few], linear=True) is None
    again = simple_fits(inputs.repeat(2, 1), labels.repeat(2, 1), linear=False)
    assert again == simple_fits(inputs, labels, linear=False)
