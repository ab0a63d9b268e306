"""core/records/layer.py."""

import dataclasses

import pytest
from pydantic import TypeAdapter

from trainwell.core.records.layer import NOT_ELEMENTWISE, WEIGHTED, LayerInfo


def test_weighted_roles_and_only_they_are_weighted() -> None:
    for role in ("linear", "convolution", "attention", "recurrent", "embedding"):
        assert LayerInfo(name="a", kind="A", role=role, table_name=role).is_weighted
        assert role in WEIGHTED
    for other in ("norm", "activation", "dropout", "pool", "other"):
        assert not LayerInfo(name="a", kind="A", role=other, table_name=other).is_weighted


def test_activation_is_the_first_elementwise_follower() -> None:
    layer = LayerInfo(
        name="a", kind="A", role="linear", table_name="linear", followed_by=("norm", "add", "relu", "tanh")
    )
    assert layer.activation == "relu"
    assert dataclasses.replace(layer, followed_by=tuple(NOT_ELEMENTWISE)).activation is None


def test_output_layers_are_those_with_output_calls() -> None:
    layer = LayerInfo(name="a", kind="A", role="linear", table_name="linear", calls=2, output_calls=1)
    assert layer.is_output
    assert not dataclasses.replace(layer, output_calls=0).is_output


def test_a_record_survives_json_and_cannot_be_changed() -> None:
    layer = LayerInfo(
        name="a.b",
        kind="Conv2d",
        role="convolution",
        table_name="convolution",
        input_shapes=((2, 3),),
        weights=("a.b.weight",),
    )
    adapter = TypeAdapter(LayerInfo)
    assert adapter.validate_json(adapter.dump_json(layer)) == layer
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        layer.name = "c"  # type: ignore[misc]  # the assignment is what is tested
