"""models/userfile.py: file.py:function."""

import hashlib
from pathlib import Path

import pytest
from torch import nn

from trainwell.core.errors import ModelError
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.models.userfile import build_from_file, file_sha256, is_user_file

PICTURES = InputLayout(kind="image", height=8, width=6, channels=3)
TABLE = InputLayout(kind="table", numbers=3)
OUTPUT = OutputLayout(task="classification", size=5, names=tuple("abcde"))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.py:f", True), ("/x/y z.py:build_2", True), ("a.py", False), ("a:f", False), ("convnet", False),
        ("a.py:", False), ("a.py:2f", False), ("a.py:f()", False), ("auto", False), ("a.py:f;g", False),
    ],
)  # fmt: skip
def test_the_spelling(name: str, wanted: bool) -> None:
    assert is_user_file(name) is wanted


def made(tmp_path: Path, code: str, *, layout: InputLayout = PICTURES, sha256: str = "") -> nn.Module:
    (tmp_path / "mine.py").write_text(code)
    return build_from_file(f"{tmp_path}/mine.py:build", input=layout, features=7, output=OUTPUT, sha256=sha256)


def test_the_function_is_given_what_it_names(tmp_path: Path) -> None:
    code = """
from torch import nn
def build(outputs, width, channels=9, depth=2, **more):
    made = nn.Linear(width, outputs)
    made.given = (outputs, width, channels, depth, more)
    return made
"""
    assert made(tmp_path, code).given == (5, 6, 3, 2, {})
    table = "from torch import nn\ndef build(features, outputs):\n    return nn.Linear(features, outputs)\n"
    found = made(tmp_path, table, layout=TABLE)
    assert isinstance(found, nn.Linear)
    assert (found.in_features, found.out_features) == (7, 5)


def test_classes_do_as_well(tmp_path: Path) -> None:
    code = "from torch import nn\nclass build(nn.Module):\n    pass\n"
    assert type(made(tmp_path, code)).__name__ == "build"


def test_the_hash_is_checked(tmp_path: Path) -> None:
    code = "from torch import nn\ndef build():\n    return nn.Identity()\n"
    right = hashlib.sha256(code.encode()).hexdigest()
    assert isinstance(made(tmp_path, code, sha256=right), nn.Identity)
    assert file_sha256(f"{tmp_path}/mine.py:build") == right
    with pytest.raises(ModelError, match=r"must be the one that the run began with, but .*mine\.py has changed since"):
        made(tmp_path, code + "\n", sha256=right)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def build(:\n", r"mine\.py does not compile: line 1: "),
        ("import nonsense_that_is_not_there\n", "raised ModuleNotFoundError when it was run"),
        ("x = 1\n", r'has no function "build"'),
        ("build = 3\n", r'has no function "build"'),
        ("def build(a, b):\n    pass\n", "but asks for a, b too. Give these a default."),
        ("def build():\n    raise KeyError('k')\n", "build in .* raised KeyError: 'k'"),
        ("def build():\n    return [1]\n", r"must return a torch\.nn\.Module, but returned list"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, code: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence) as refused:
        made(tmp_path, code)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    name = f"{tmp_path}/none.py:build"
    with pytest.raises(ModelError, match=r"must exist, but there is none|cannot be read"):
        build_from_file(name, input=TABLE, features=1, output=OUTPUT, sha256="")
    with pytest.raises(ModelError, match="cannot be read"):
        file_sha256(name)
    with pytest.raises(ModelError, match=r'given as file\.py:function, but got "none"'):
        file_sha256("none")
