"""The text of a table file, whatever its encoding, as UTF-8 and in pieces: memory does not grow with the file."""

import codecs
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trainwell.core.errors import DataError
from trainwell.data.files import open_regular
from trainwell.data.raw import shown_path

_PIECE_BYTES = 1 << 20
_HEAD_BYTES = 1 << 20
_STRANGE = [chr(code) for code in (*range(1, 9), *range(14, 32), 0xFFFD)]
_BOM = b"\xef\xbb\xbf"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableText:
    """Text of a file that was found to be text.

    Attributes:
        path: the file.
        encoding: utf-8, utf-16 or cp1252.
        returns: whether its lines end in carriage returns alone, as on old Macs.
        warnings: sentences about how it is read.
    """

    path: Path
    encoding: str
    returns: bool = False
    warnings: tuple[str, ...] = ()

    def pieces(self) -> Iterator[bytes]:
        """The text as UTF-8, cut anywhere."""
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        for i, raw in enumerate(_pieces(self.path)):
            piece = raw if self.encoding == "utf-8" else decoder.decode(raw).encode()
            if not i:
                piece = piece.removeprefix(_BOM)
            yield piece.replace(b"\r", b"\n") if self.returns else piece

    def lines(self) -> Iterator[str]:
        """The text by lines, with their ends."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        held = ""
        for piece in self.pieces():
            *lines, held = (held + decoder.decode(piece)).split("\n")
            yield from (f"{line}\n" for line in lines)
        if held:
            yield held

    def head(self) -> str:
        """How the text begins."""
        found = b""
        for piece in self.pieces():
            found += piece
            if len(found) >= _HEAD_BYTES:
                break
        return found[:_HEAD_BYTES].decode("utf-8", "ignore")

    def records(self, size: int) -> Iterator[bytes]:
        """The text as UTF-8 in blocks that end where a line ends and no quote is open.

        Args:
            size: of a block in bytes, about; one with an open quote is as long as it takes.
        """
        held = bytearray()
        wanted = size
        for piece in self.pieces():
            held += piece
            if len(held) < wanted:
                continue
            end = _last_end(held)
            # Where no record ends, the next look waits for twice as much.
            wanted = size if end else 2 * len(held)
            if end:
                yield bytes(held[:end])
                del held[:end]
        if held:
            yield bytes(held)


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with open_regular(path) as handle:
            while piece := handle.read(_PIECE_BYTES):
                yield piece
    except OSError as error:
        raise DataError(f"{shown_path(path)} must be readable, but: {error.strerror or error}.") from error


def _last_end(text: bytearray) -> int:
    if b'"' not in text:
        return text.rfind(b"\n") + 1
    signs = np.frombuffer(bytes(text), np.uint8)
    quotes, ends = np.flatnonzero(signs == ord('"')), np.flatnonzero(signs == ord("\n"))
    closed = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(closed[-1]) + 1 if len(closed) else 0


def open_text(path: Path, name: str) -> TableText:
    """A file's text, looked through once.

    Args:
        path: the file.
        name: as shown to people.
    Raises:
        DataError: it is empty, binary or damaged, or cannot be read.
    """
    text = _decoded(path, name)
    blank, ends, returns = True, False, False
    for piece in text.pieces():
        blank = blank and not piece.strip()
        ends, returns = ends or b"\n" in piece, returns or b"\r" in piece
        if ends and not blank:
            break
    if blank:
        raise DataError(f"{name} must be a table, but is empty.")
    return dataclasses.replace(text, returns=returns and not ends)


def _decoded(path: Path, name: str) -> TableText:
    decoder = codecs.getincrementaldecoder("utf-8")()
    good = True
    for i, piece in enumerate(_pieces(path)):
        if not i and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return _utf16(path, name)
        if b"\0" in piece:
            raise DataError(f"{name} must be a table in text, but holds binary data.")
        try:
            good = good and decoder.decode(piece) is not None
        except UnicodeDecodeError:
            good = False
    # What it still holds is the beginning of a letter.
    if good and not decoder.getstate()[0]:
        return TableText(path=path, encoding="utf-8")
    text = TableText(
        path=path,
        encoding="cp1252",
        warnings=(f"{name} is no UTF-8: read as Windows-1252. Save it as UTF-8 if letters look wrong.",),
    )
    strange = letters = 0
    for piece in text.pieces():
        decoded = piece.decode()
        letters += len(decoded)
        strange += sum(decoded.count(sign) for sign in _STRANGE)
    if strange > letters // 1000:
        raise DataError(f"{name} must be a table in text, but holds binary data.")
    return text


def _utf16(path: Path, name: str) -> TableText:
    decoder = codecs.getincrementaldecoder("utf-16")()
    try:
        for piece in _pieces(path):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} must be a table, but its UTF-16 text is damaged. Save it as UTF-8.") from error
    return TableText(path=path, encoding="utf-16")
