"""Small picture sets for `transfer.py`, assembled from Debian's packages.

    apt-get install openclipart-png oxygen-icon-theme fonts-noto-color-emoji mate-backgrounds

clipart: drawings by what they show. icons: those of one theme by their use. emoji: those of one font by what they
show. photographs: which of some photographs a piece is cut from, no two pieces overlapping.

Look-alikes stand on one side of a split. Splits 0 to 9 are for the benchmark; develop on 100 and above.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Pictures = dict[str, Callable[[], Image.Image]]

SHARE = Path("/usr/share")
MOST = 60
"""Pictures a class, drawn by a fixed seed."""
LEAST = 12
TRAIN = 20
"""Of each class to train on; at least a third is kept for the test."""
SIDE = 256
"""Longest side as stored: more than any network here sees."""

CLIPART = {
    "beverages": "food/beverages",
    "birds": "animals/birds",
    "boats": "transportation/boating",
    "bugs": "animals/bugs",
    "clothing": "people/clothing",
    "desserts": "food/desserts",
    "fish": "animals/fish",
    "flowers": "plants/flowers",
    "fruit": "food/fruit",
    "homes": "buildings/homes",
    "mammals": "animals/mammals",
    "music": "recreation/music",
    "sports": "recreation/sports",
    "tools": "tools",
    "vehicles": "transportation/vehicles",
}
ICONS = ("actions", "apps", "categories", "devices", "mimetypes", "places", "status")
EMOJI = {
    "animals": (0x1F400, 0x1F43D),
    "buildings": (0x1F3D5, 0x1F3F0),
    "clothes": (0x1F451, 0x1F462),
    "faces": (0x1F600, 0x1F638),
    "food": (0x1F345, 0x1F37B),
    "hearts": (0x1F493, 0x1F4A0),
    "plants": (0x1F330, 0x1F345),
    "sports": (0x1F3BD, 0x1F3CD),
    "vehicles": (0x1F680, 0x1F6A5),
    "writing": (0x1F4C0, 0x1F4E0),
}
"""Class -> code points from and to before."""
GLYPH = 109
"""Pixels at which the font holds its pictures."""
PIECE = 240
"""Pixels of a side of a piece of a photograph."""


def build(name: str, to: Path, *, share: Path = SHARE) -> Path:
    """A folder with a folder a class, of PNG files.

    Args:
        name: of SETS.
        to: folder that the set's folder is made in; a set that is there is not made again.
        share: where the packages are installed.
    """
    folder = to / name
    if folder.is_dir():
        return folder
    unfinished = to / f".{name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    for label, found in SETS[name](share).items():
        chosen = sorted(found)
        random.Random(0).shuffle(chosen)
        if len(chosen) < LEAST:
            raise SystemExit(f"{name}: {label} has {len(chosen)} pictures. Install the packages of {__file__}.")
        (unfinished / label).mkdir(parents=True)
        for key in sorted(chosen[:MOST]):
            picture = found[key]()
            picture.thumbnail((SIDE, SIDE))
            picture.save(unfinished / label / f"{key}.png")
    unfinished.rename(folder)
    return folder


def split(folder: Path, repeat: int, to: Path, *, train: int = TRAIN) -> Path:
    """A folder with train/CLASS and test/CLASS, of links to the set's files; look-alikes on one side.

    Args:
        folder: of the set.
        repeat: the seed.
        to: where the folder is made.
        train: pictures a class to train on, at most two thirds of them.
    """
    draw = random.Random(repeat)
    groups = look_alikes(folder)
    made = to / f"{folder.name}-{repeat}"
    shutil.rmtree(made, ignore_errors=True)
    for label in sorted(each.name for each in folder.iterdir()):
        files = sorted((folder / label).iterdir())
        by_group: dict[int, list[Path]] = {}
        for file in files:
            by_group.setdefault(groups[file], []).append(file)
        order = sorted(by_group)
        draw.shuffle(order)
        wanted = min(train, len(files) * 2 // 3)
        taken = 0
        for part in ("train", "test"):
            (made / part / label).mkdir(parents=True)
        for group in order:
            part = "train" if taken + len(by_group[group]) <= wanted else "test"
            taken += len(by_group[group]) * (part == "train")
            for file in by_group[group]:
                os.link(file, made / part / label / file.name)
    return made


def look_alikes(folder: Path) -> dict[Path, int]:
    """File -> number of its group of pictures that are nearly the same, over all classes."""
    from trainwell.data.look_alikes import repeats_of_pictures

    files = sorted(folder.glob("*/*.png"))
    small = np.stack([np.asarray(Image.open(file).convert("RGB").resize((64, 64))) for file in files])
    with tempfile.TemporaryDirectory() as scratch:
        groups = repeats_of_pictures(small, scratch=Path(scratch) / "sketches").groups
    return dict(zip(files, groups.tolist(), strict=True))


def flat(picture: Image.Image) -> Image.Image:
    """RGB, transparency over white."""
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return flat(picture)


def _files(paths: Iterable[Path], root: Path) -> Pictures:
    return {"-".join(path.relative_to(root).with_suffix("").parts): partial(_opened, path) for path in paths}


def _clipart(share: Path) -> dict[str, Pictures]:
    root = share / "openclipart" / "png"
    return {label: _files((root / place).rglob("*.png"), root / place) for label, place in CLIPART.items()}


def _icons(share: Path) -> dict[str, Pictures]:
    root = share / "icons" / "oxygen" / "base" / "128x128"
    # Links are second names of an icon.
    return {
        label: _files((path for path in (root / label).glob("*.png") if not path.is_symlink()), root / label)
        for label in ICONS
    }


def _emoji(share: Path) -> dict[str, Pictures]:
    font = ImageFont.truetype(share / "fonts" / "truetype" / "noto" / "NotoColorEmoji.ttf", GLYPH)

    def drawn(point: int) -> Image.Image:
        canvas = Image.new("RGBA", (136, 128), "white")
        ImageDraw.Draw(canvas).text((0, 0), chr(point), font=font, embedded_color=True)
        return canvas.convert("RGB")

    return {label: {f"{point:x}": partial(drawn, point) for point in range(*ends)} for label, ends in EMOJI.items()}


def _photographs(share: Path) -> dict[str, Pictures]:
    def piece(path: Path, row: int, column: int) -> Image.Image:
        left, top = column * PIECE, row * PIECE
        return _opened(path).crop((left, top, left + PIECE, top + PIECE))

    found: dict[str, Pictures] = {}
    for path in sorted((share / "backgrounds" / "mate" / "nature").glob("*.jpg")):
        with Image.open(path) as picture:
            rows, columns = picture.height // PIECE, picture.width // PIECE
        if rows * columns >= LEAST:
            found[path.stem] = {
                f"{row}-{column}": partial(piece, path, row, column) for row in range(rows) for column in range(columns)
            }
    return found


SETS: dict[str, Callable[[Path], dict[str, Pictures]]] = {
    "clipart": _clipart,
    "icons": _icons,
    "emoji": _emoji,
    "photographs": _photographs,
}
"""Name -> what finds its pictures: class -> name -> what opens one."""
