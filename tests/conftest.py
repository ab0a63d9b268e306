"""Small data and finished runs that several rooms' tests share."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], NDArray[Any]]


@pytest.fixture(scope="session")
def small_pictures() -> Arrays:
    """180 digits, 8 x 8, uint8."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images[:180] * 15).astype(np.uint8), digits.target[:180]


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces of three photographs, 12 a class, of different sizes: which photograph is each from?"""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("photographs")
    china, flower = load_sample_images().images
    for label, picture in (("china", china), ("flower", flower), ("turned", china.transpose(1, 0, 2)[::-1])):
        (folder / label).mkdir()
        draw = np.random.default_rng(0)
        for number in range(12):
            side = int(draw.integers(110, 150))
            top, left = (int(draw.integers(0, size - side)) for size in picture.shape[:2])
            Image.fromarray(picture[top : top + side, left : left + side + 8]).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def small_table() -> Arrays:
    """180 rows of 4 numbers and two classes that a line divides, nearly."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(180, 4)).astype(np.float32)
    labels = (rows @ np.array([1.0, -1.0, 0.5, 0.0]) + 0.3 * draw.normal(size=180) > 0).astype(np.int64)
    return rows, labels


@pytest.fixture(scope="session")
def picture_file(small_pictures: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures as an .npz."""
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, x=small_pictures[0], y=small_pictures[1])
    return path


@pytest.fixture(scope="session")
def table_file(small_table: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table as a CSV with the target "side"."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    lines = ["a,b,c,d,side"]
    for row, label in zip(small_table[0].tolist(), small_table[1].tolist(), strict=True):
        lines.append(",".join(f"{value:.4f}" for value in row) + f",{'left' if label else 'right'}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def weights_hash() -> Callable[[Path], str]:
    """SHA-256 of a run's finished weights."""
    return lambda run: hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/diagnosis/test_rules.py --draw docs/img/rules` draws the pictures of the rules' pages anew."""
    parser.addoption("--draw", metavar="FOLDER", default=None, help="draw the rules' pictures into a folder")
