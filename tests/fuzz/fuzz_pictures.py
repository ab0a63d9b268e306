"""Folders of pictures, valid and then not."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from fuzz_base import HOSTILE, Case, file_name, flip_bytes, truncate
from PIL import Image

EACH = 16
MODES = (
    *(("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG")),
    *(("F", "TIFF"), ("I", "TIFF"), ("P", "GIF"), ("L", "BMP"), ("RGB", "WEBP"), ("YCbCr", "JPEG")),
)
"""Modes of pictures, and formats that keep them."""


@dataclass
class Folder:
    """Files by path, with what they hold; links by path, with where they lead."""

    files: dict[str, bytes]
    links: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as the bytes of a file."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def picture(draw: random.Random, bright: int, *, size: tuple[int, int] = (10, 9)) -> Image.Image:
    """Noise around a brightness."""
    numbers = np.random.default_rng(draw.getrandbits(32))
    return Image.fromarray((numbers.integers(0, 90, (size[1], size[0], 3)) + bright).astype(np.uint8))


def valid(draw: random.Random, *, kind: str) -> Folder:
    """Two classes that differ in brightness."""
    suffix = {"PNG": ".png", "JPEG": ".jpg"}[kind]
    return Folder(
        {
            f"{label}/{i:02}{suffix}": encoded(picture(draw, bright), kind)
            for label, bright in (("dark", 10), ("light", 120))
            for i in range(EACH)
        }
    )


def _some(folder: Folder, draw: random.Random) -> list[str]:
    names = list(folder.files)
    return draw.sample(names, min(len(names), draw.choice((1, 1, 2, 3, 20))))


def cut(folder: Folder, draw: random.Random) -> None:
    for name in _some(folder, draw):
        folder.files[name] = truncate(folder.files[name], draw)


def flip(folder: Folder, draw: random.Random) -> None:
    for name in _some(folder, draw):
        folder.files[name] = flip_bytes(folder.files[name], draw)


def rename_class(folder: Folder, draw: random.Random) -> None:
    name = file_name(draw.choice(HOSTILE))
    if name is not None:
        folder.files = {path.replace("dark/", f"{name}/"): data for path, data in folder.files.items()}


def rename_files(folder: Folder, draw: random.Random) -> None:
    for path in _some(folder, draw):
        name = file_name(draw.choice(HOSTILE)[:100])
        if name is not None:
            folder.files[f"{path.split('/')[0]}/{name}{draw.choice(('.png', '', '.jpg'))}"] = folder.files.pop(path)


def wrong_suffix(folder: Folder, draw: random.Random) -> None:
    suffix = draw.choice((".jpg", ".txt", "", ".gif", ".PNG", ".csv", ".pt"))
    for path in _some(folder, draw):
        folder.files[path.rsplit(".", 1)[0] + suffix] = folder.files.pop(path)


def nested(folder: Folder, draw: random.Random) -> None:
    depth = draw.choice((1, 2, 30))
    for path in _some(folder, draw):
        label, _, rest = path.partition("/")
        folder.files[f"{label}/{'d/' * depth}{rest}"] = folder.files.pop(path)


def in_parts(folder: Folder, draw: random.Random) -> None:
    parts = draw.choice((("train", "test"), ("train", "val", "test"), ("train",), ("training", "valid"), ("test",)))
    folder.files = {f"{parts[i % len(parts)]}/{path}": data for i, (path, data) in enumerate(folder.files.items())}


def unequal_parts(folder: Folder, draw: random.Random) -> None:
    test = {f"test/{path}": folder.files[path] for path in _some(folder, draw)}
    folder.files = {f"train/{path}": data for path, data in folder.files.items()} | test


def links(folder: Folder, draw: random.Random) -> None:
    folder.links |= draw.choice(({"dark/loop": "."}, {"light/x.png": "nowhere.png"}, {"both": "dark"}, {"me": "me"}))


def no_pictures(folder: Folder, draw: random.Random) -> None:
    content = draw.choice((b"hello", b"", b"<svg xmlns='x'><script>alert(1)</script></svg>", b"%PDF-1.4", b"GIF89a"))
    for i in range(draw.choice((1, 5, 60))):
        folder.files[f"dark/note{i}{draw.choice(('.txt', '.png', '.svg'))}"] = content


def litter(folder: Folder, draw: random.Random) -> None:
    folder.files |= {".DS_Store": b"x", "dark/Thumbs.db": b"x", "loose.png": draw.choice(list(folder.files.values()))}
    folder.folders += ["__MACOSX", ".hidden", "nothing"]


def few(folder: Folder, draw: random.Random) -> None:
    kept = draw.choice((0, 1, 2, 3))
    dark = [path for path in folder.files if "dark/" in path]
    for path in dark[kept:]:
        del folder.files[path]
    folder.folders.append("dark")


def one_class(folder: Folder, draw: random.Random) -> None:
    folder.files = {path: data for path, data in folder.files.items() if "dark/" not in path}


def many_classes(folder: Folder, draw: random.Random) -> None:
    for i in range(draw.choice((12, 40))):
        for j in range(2):
            folder.files[f"class {i}/{j}.png"] = encoded(picture(draw, 3 * i), "PNG")


def sizes(folder: Folder, draw: random.Random) -> None:
    for path in _some(folder, draw):
        size = draw.choice(((1, 1), (1, 300), (300, 2), (64, 64), (33, 47)))
        folder.files[path] = encoded(picture(draw, 50, size=size), "PNG")


def modes(folder: Folder, draw: random.Random) -> None:
    mode, kind = draw.choice(MODES)
    for path in list(folder.files) if draw.random() < 0.5 else _some(folder, draw):
        made = picture(draw, 110 * ("light" in path))
        made = made.convert("L").convert("I;16") if mode == "I;16" else made.convert(mode)
        folder.files[path] = encoded(made, kind)


def copies(folder: Folder, draw: random.Random) -> None:
    names = list(folder.files)
    for path in names:
        folder.files[path] = folder.files[names[draw.choice((0, 0, len(names) - 1))]]


def bomb(folder: Folder, draw: random.Random) -> None:
    side = draw.choice((30_000, 60_000))
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    folder.files["dark/bomb.png"] = b"\x89PNG\r\n\x1a\n" + chunk + b"\0" * 40


def animated(folder: Folder, draw: random.Random) -> None:
    frames = [picture(draw, 30 * i) for i in range(3)]
    folder.files["light/moving.gif"] = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def turned(folder: Folder, draw: random.Random) -> None:
    for path in _some(folder, draw):
        exif = Image.Exif()
        exif[0x0112] = draw.randint(0, 9)
        folder.files[path] = encoded(picture(draw, 40), "JPEG", exif=exif)


def write(case: Case, folder: Folder, draw: random.Random) -> None:
    """The folder, under a name that may be hostile."""
    stem = file_name(draw.choice(HOSTILE)[:80]) if draw.random() < 0.15 else None
    root = case.folder / (stem or "pictures")
    for part in folder.folders:
        (root / part).mkdir(parents=True, exist_ok=True)
    root.mkdir(exist_ok=True)
    for name, data in folder.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, where in folder.links.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(where)
    case.arguments.append(str(root))


MUTATIONS: tuple[Callable[[Folder, random.Random], None], ...] = (
    *(cut, cut, flip, flip, rename_class, rename_class, rename_files, rename_files, wrong_suffix, nested, in_parts),
    *(unequal_parts, links, no_pictures, litter, few, one_class, many_classes, sizes, modes, modes, copies, bomb),
    *(animated, turned),
)
"""Changes of one folder; some stand twice because they have many outcomes."""
