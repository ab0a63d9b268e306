"""No false alarms: on networks that were trained well, no rule says more than info."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from torch import nn

from trainwell.core.records.observation import Observation
from trainwell.diagnosis.curve_shapes import read_curves
from trainwell.diagnosis.diagnose import diagnose


def split_of(lab: Any, load: Callable[..., tuple[Any, Any]], seed: int) -> Any:
    raw, labels = load(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    x, y = torch.tensor(raw, dtype=torch.float32)[order], torch.tensor(labels)[order]
    cut = 3 * len(x) // 4
    x = (x - x[:cut].mean(0)) / x[:cut].std(0)
    return lab.split(x[:cut], y[:cut], x[cut:], y[cut:])


NETWORKS: dict[str, Callable[[Any], tuple[nn.Module, Any, dict[str, Any]]]] = {
    "mlp, constant rate": lambda lab: (lab.mlp(64, 64, 10), lab.digits(), {"lr": 3e-3, "epochs": 15}),
    "mlp, linear tail": lambda lab: (lab.mlp(64, 128, 128, 10), lab.digits(), {"rate": lab.linear_tail}),
    "mlp, another seed": lambda lab: (lab.mlp(64, 96, 10, seed=5), lab.digits(seed=5), {"rate": lab.linear_tail}),
    "mlp, dropout": lambda lab: (lab.mlp(64, 128, 128, 10, dropout=0.2), lab.digits(), {"rate": lab.linear_tail}),
    "mlp, batch norm": lambda lab: (lab.mlp(64, 128, 128, 10, norm=True), lab.digits(), {"rate": lab.linear_tail}),
    "mlp, Kaiming's": lambda lab: (lab.mlp(64, 128, 128, 10, std=math.sqrt(2)), lab.digits(), {"lr": 1e-3}),
    "mlp, tanh": lambda lab: (
        lab.mlp(64, 128, 128, 10, activation=nn.Tanh, std=1.0),
        lab.digits(),
        {"rate": lab.linear_tail},
    ),
    "mlp, gelu": lambda lab: (
        lab.mlp(64, 128, 128, 10, activation=nn.GELU),
        lab.digits(),
        {"rate": lab.linear_tail},
    ),
    "mlp, sgd": lambda lab: (
        lab.mlp(64, 128, 10),
        lab.digits(),
        {"lr": 5e-2, "sgd": True, "rate": lab.linear_tail},
    ),
    "mlp, long": lambda lab: (lab.mlp(64, 128, 10), lab.digits(), {"epochs": 60, "rate": lab.linear_tail}),
    "convnet, batch norm": lambda lab: (
        lab.convnet(width=8),
        lab.digits(),
        {"lr": 1e-2, "epochs": 10, "rate": lab.linear_tail},
    ),
    "convnet, plain": lambda lab: (
        lab.convnet(width=8, norm=False),
        lab.digits(),
        {"lr": 1e-2, "epochs": 14, "rate": lab.linear_tail},
    ),
    "table, regression": lambda lab: (
        lab.mlp(8, 64, 64, 1),
        lab.table(rows=2000, noise=0.3),
        {"weight_decay": 0.05, "rate": lab.linear_tail},
    ),
    "table, noisy regression": lambda lab: (
        lab.mlp(8, 32, 1),
        lab.table(rows=2000, noise=1.0),
        {"weight_decay": 0.05, "rate": lab.linear_tail},
    ),
    "wine": lambda lab: (
        lab.mlp(13, 32, 3, dropout=0.2),
        split_of(lab, load_wine, 0),
        {"batch": 32, "epochs": 30, "weight_decay": 0.1, "rate": lab.linear_tail},
    ),
    "breast cancer": lambda lab: (
        lab.mlp(30, 32, 2, dropout=0.2),
        split_of(lab, load_breast_cancer, 1),
        {"batch": 32, "epochs": 30, "weight_decay": 0.1, "rate": lab.linear_tail},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_above_info(name: str, lab: Any) -> None:
    model, split, options = NETWORKS[name](lab)
    initial = lab.initial_loss(model, split)
    curves = lab.train(model, split, **({"lr": 3e-3, "epochs": 20} | options))
    small = None
    if not split.regression:
        small = lab.small_sample(lab.mlp(split.x.shape[1], 64, 10), split, lr=1e-2, steps=80, samples=64)
    observation = Observation(
        data=lab.record(split), look=lab.look(split), initial_loss=initial, small_sample=small, curves=curves
    )
    diagnosis = diagnose(observation)
    assert [finding.message for finding in diagnosis.findings if finding.severity != "info"] == []
    assert diagnosis.passed
    assert diagnosis.headline is None
    assert read_curves(curves, look=observation.look, data=observation.data).shape == "healthy"


def test_sweep_of_a_healthy_network(lab: Any) -> None:
    split = lab.digits()
    sweep = lab.sweep(lab.mlp(64, 64, 64, 10), split, low=1e-6, high=10.0)
    curves = lab.train(lab.mlp(64, 64, 64, 10), split, lr=sweep.lr / 3, epochs=12, rate=lab.linear_tail)
    assert sweep.usable
    assert diagnose(Observation(lr_sweep=sweep, curves=curves)).passed
