"""core/errors.py."""

import pytest

from trainwell.core import errors
from trainwell.core.errors import (
    DataError,
    MissingExtraError,
    ModelError,
    ResumeError,
    ScriptError,
    SettingError,
    StoreError,
    TargetError,
    TrainwellError,
    suggestion,
)

TREE = {
    SettingError: (TrainwellError, ValueError),
    DataError: (TrainwellError, ValueError),
    TargetError: (DataError,),
    ModelError: (TrainwellError,),
    ScriptError: (TrainwellError,),
    StoreError: (TrainwellError,),
    ResumeError: (StoreError,),
    MissingExtraError: (TrainwellError, ImportError),
}


def test_the_tree_is_the_one_drawn() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds == {*TREE, TrainwellError}
    for kind, bases in TREE.items():
        assert kind.__bases__ == bases
        assert kind.__name__ in (errors.__doc__ or "")


def test_a_missing_extra_names_its_install_line() -> None:
    with pytest.raises(ImportError, match=r"^ONNX export needs: pip install 'trainwell\[onnx\]'$"):
        raise MissingExtraError("ONNX export", "onnx")


def test_near_names_come_first() -> None:
    assert suggestion("convnt", ["mlp", "convnet", "resnet"]) == 'Did you mean "convnet"?'
    assert suggestion("zzz", ["b", "a"]) == "Known: a, b."
