"""Every picture of the notes: drawn, titled, named with units, and written as SVG and PNG."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from trainwell.core.errors import SettingError
from trainwell.lecture.datasets import digit_images, digits, petals, photographs, wine
from trainwell.lecture.figures import activations, preprocessing, regularization
from trainwell.lecture.figures.initialization import deep_network, layer_outputs
from trainwell.lecture.figures.table import FIGURES
from trainwell.lecture.writing import caption, page_svg, write_figures
from trainwell.pictures.drawing import sheet
from trainwell.preprocessing import Normalize

# As DESIGN.md lists them.
PICTURES = (
    "six_activations",
    "elu",
    "gelu",
    "centred_and_normalized",
    "decorrelated_and_whitened",
    "loss_sensitivity",
    "small_std",
    "large_std",
    "xavier_with_tanh",
    "kaiming_beside_xavier",
    "dropout_with_test_scaling",
    "inverted_dropout",
    "augmentations",
    "step",
    "cosine",
    "linear",
    "inverse_sqrt",
    "constant",
    "transfer_table",
    "zigzag",
)
NO_AXES = ("transfer_table",)
DRAWN: dict[str, Figure] = {}


def drawn(name: str) -> Figure:
    if name not in DRAWN:
        DRAWN[name] = FIGURES[name]()
    return DRAWN[name]


def texts(figure: Figure) -> list[str]:
    found = [figure.get_suptitle(), figure.get_supxlabel()]
    for panel in figure.axes:
        found += [panel.get_title(loc="left"), panel.get_title(), panel.get_xlabel(), panel.get_ylabel()]
        found += [text.get_text() for text in panel.texts]
    return [text for text in found if text]


def is_tick(text: Text, figure: Figure) -> bool:
    return any(text in [*panel.get_xticklabels(), *panel.get_yticklabels()] for panel in figure.axes)


def test_every_picture_of_the_design_is_there() -> None:
    assert set(FIGURES) == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_picture_has_a_title_and_named_axes_with_units(name: str) -> None:
    figure = drawn(name)
    titles = [figure.get_suptitle(), *(panel.get_title(loc="left") for panel in figure.axes)]
    assert any(titles)
    assert len(caption(name)) > 20
    assert caption(name).endswith(".")
    if name not in NO_AXES:
        words = " ".join(texts(figure))
        assert re.search(r"no unit|, cm|, nats|pixels|optimizer step", words), words


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_written_leaves_the_picture(name: str) -> None:
    figure = drawn(name)
    width, height = figure.get_size_inches() * figure.dpi
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call] # matplotlib's own gap
    figure.draw_without_rendering()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text() and not is_tick(text, figure):
            box = text.get_window_extent(renderer)
            assert -2 < box.x0 < box.x1 < width + 2, text.get_text()
            assert -2 < box.y0 < box.y1 < height + 2, text.get_text()


@pytest.mark.parametrize("name", ["zigzag", "augmentations", "cosine"])
def test_pictures_are_the_same_every_time(name: str) -> None:
    assert page_svg(name) == page_svg(name)


def test_write_figures_leaves_svg_and_png(tmp_path: Path) -> None:
    written = list(write_figures(tmp_path / "new", only=["cosine", "augmentations"]))
    assert [each.name for each in written] == ["cosine", "augmentations"]
    for each in written:
        text = each.svg.read_text()
        root = ElementTree.fromstring(text)
        assert root.tag.endswith("svg")
        assert "prefers-color-scheme:dark" in text
        assert "currentColor" in text
        with Image.open(each.png) as png:
            assert png.width == 880
    assert (tmp_path / "new" / "augmentations.svg").read_text().count("<image ") == 15


def test_raster_images_lie_where_their_panels_are() -> None:
    root = ElementTree.fromstring(page_svg("augmentations"))
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    for image in root.iter("{http://www.w3.org/2000/svg}image"):
        x, y, wide, high = (float(image.attrib[key]) for key in ("x", "y", "width", "height"))
        assert 0 <= x < x + wide <= width
        assert 0 <= y < y + high <= height
        assert wide == pytest.approx(high, abs=0.05)


def test_an_unknown_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r'one of the table, but got "cosin". Did you mean "cosine"'):
        list(write_figures(tmp_path, only=["cosin"]))


def test_sigmoid_inputs_zigzag_and_tanh_inputs_do_not() -> None:
    z = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([0.9, -0.7])
    path, same = activations.descend(torch.sigmoid(z), wanted, lr=0.5)
    assert same == 1.0
    moves = path[1:] - path[:-1]
    assert bool((moves[:, 0] * moves[:, 1] >= 0).all())
    _, mixed = activations.descend(torch.tanh(z), wanted, lr=0.5)
    assert 0.3 < mixed < 0.7


def test_best_line_is_where_the_loss_is_least() -> None:
    data, species = petals()
    kept = species > 0
    points, labels = Normalize().fit(data[kept], split="train")(data[kept]), species[kept] - 1
    weights = preprocessing.best_line(points, labels)
    least = preprocessing.line_loss(weights, points, labels)
    for place in range(3):
        for change in (-0.5, 0.5):
            moved = weights.clone()
            moved[place] += change
            assert preprocessing.line_loss(moved, points, labels) > least - 1e-3


def test_deep_network_gives_every_wide_layer_the_gain() -> None:
    model, inputs = deep_network("relu", "kaiming", width=256, layers=4, samples=32)
    outputs = layer_outputs(model, inputs)
    assert len(outputs) == 4
    for layer in (0, 2, 4, 6):
        assert model.get_parameter(f"{layer}.weight").std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.03)
    squares = [float(found.square().mean()) for found in outputs]
    assert squares == pytest.approx([1.0] * 4, rel=0.35)


def test_dropout_bars_agree_on_average() -> None:
    figure = regularization.inverted_dropout()
    _, mean, test = (
        [bar.get_height() for bar in panel.patches if isinstance(bar, Rectangle)][-12:] for panel in figure.axes
    )
    assert mean == pytest.approx(test, rel=0.1)


@pytest.mark.parametrize(("load", "classes"), [(digits, 10), (wine, 3)])
def test_splits_are_disjoint_and_normalized_on_the_training_part(load: object, classes: int) -> None:
    assert callable(load)
    split = load(seed=3)
    assert split.classes == classes
    assert not set(split.train.tolist()) & set(split.test.tolist())
    assert len(split.train) + len(split.test) == len(split.inputs)
    assert float(split.inputs[split.train].mean(dim=0).abs().max()) < 1e-4
    assert not torch.equal(split.train, load(seed=4).train)


def test_pictures_come_from_real_images() -> None:
    images, labels = digit_images()
    assert images.shape == (1797, 8, 8, 1)
    assert sorted(set(labels.tolist())) == list(range(10))
    assert int(images.max()) == 255
    assert photographs(side=32).shape == (2, 3, 32, 32)


def test_sheet_is_ours() -> None:
    figure, panels = sheet(100.0)
    assert len(panels) == len(figure.axes) == 1
