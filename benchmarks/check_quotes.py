"""Figures quoted in README.md and docs/ are those in results/, and of the code as it stands.

A figure is written `<!-- figure: FILE CASE KEY [FORMAT] -->VALUE<!-- /figure -->`: the line of results/FILE.jsonl with
that case, a key of it (`test.value` for one within another, `interval.0` for one of a list), and how Python's format()
writes it. A name with spaces stands in quotes.

A page with `{{ claims: ... }}` quotes results/claims.jsonl, all of it.

    python benchmarks/check_quotes.py            fails where a value differs, or the code has changed since
    python benchmarks/check_quotes.py --write    fills in the values
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import ROOT, arguments, source_hash

QUOTE = re.compile(r"<!-- figure:(?P<about>[^\n]*?)-->(?P<value>[^\n]*?)<!-- /figure -->")
OPENING = re.compile(r"<!-- figure:")
CLAIMS = re.compile(r"\{\{ claims: [a-z]+ \}\}")


class QuoteError(Exception):
    """A quotation that cannot be looked up."""


@dataclass(frozen=True)
class Quote:
    """One quotation.

    Attributes:
        page: where it stands.
        line: counted from 1.
        about: what is quoted, as written.
        value: as written.
    """

    page: Path
    line: int
    about: str
    value: str


def pages(root: Path) -> list[Path]:
    """README.md and everything in docs/."""
    return [page for page in (root / "README.md", *sorted((root / "docs").rglob("*.md"))) if page.is_file()]


def quotes(page: Path) -> Iterator[Quote]:
    """The quotations of a page.

    Raises:
        QuoteError: one is opened and never closed in its line.
    """
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        found = list(QUOTE.finditer(line))
        if len(found) != len(OPENING.findall(line)):
            raise QuoteError(f"{page}:{number}: a figure ends with <!-- /figure --> in its own line.")
        for match in found:
            yield Quote(page, number, match["about"].strip(), match["value"])


def look_up(about: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """The value as it is to stand in the page, and its line of results.

    Args:
        about: FILE CASE KEY [FORMAT].
        folder: of results.
    Raises:
        QuoteError: there is no such file, case or key, or the format does not fit.
    """
    try:
        name, case, key, *rest = shlex.split(about)
    except ValueError as error:
        raise QuoteError(f'"{about}" must be FILE CASE KEY [FORMAT]') from error
    if len(rest) > 1:
        raise QuoteError(f'"{about}" must be FILE CASE KEY [FORMAT]')
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        raise QuoteError(f"there is no {path.name}")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    found = [line for line in lines if line["case"] == case]
    if len(found) != 1:
        raise QuoteError(f'{path.name} has {len(found)} cases "{case}"; it has: {", ".join(x["case"] for x in lines)}')
    value: Any = found[0]
    for part in key.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise QuoteError(f'"{case}" in {path.name} has no "{key}"') from error
    try:
        return format(value, rest[0] if rest else ""), found[0]
    except (ValueError, TypeError) as error:
        raise QuoteError(f'"{value}" cannot be written as "{rest[0]}"') from error


def problems(page: Path, *, folder: Path) -> list[str]:
    """What is wrong with the quotations of a page: a sentence each."""
    wrong = []
    try:
        for quote in quotes(page):
            where = f"{quote.page}:{quote.line}"
            try:
                wanted, line = look_up(quote.about, folder)
            except QuoteError as error:
                wrong.append(f"{where}: {error}.")
                continue
            if quote.value != wanted:
                wrong.append(f'{where}: "{quote.value}" is quoted for {quote.about}, but it is "{wanted}".')
            if line["source"] != source_hash(*line["depends"]):
                wrong.append(f"{where}: {quote.about} was measured with code that has changed since. Measure it again.")
    except QuoteError as error:
        wrong.append(str(error))
    if CLAIMS.search(page.read_text("utf-8")):
        wrong += stale_claims(folder)
    return wrong


def stale_claims(folder: Path) -> list[str]:
    """Claims that were measured with code that has changed since: a sentence each."""
    path = folder / "claims.jsonl"
    if not path.is_file():
        return ["there is no claims.jsonl."]
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [
        f'the claim "{line["case"]}" was measured with code that has changed since. Measure it again.'
        for line in lines
        if line["source"] != source_hash(*line["depends"])
    ]


def filled(text: str, *, folder: Path) -> str:
    """A page's text with every value as the results have it.

    Raises:
        QuoteError: one cannot be looked up.
    """
    return QUOTE.sub(
        lambda match: f"<!-- figure:{match['about']}-->{look_up(match['about'].strip(), folder)[0]}<!-- /figure -->",
        text,
    )


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--write", action="store_true", help="fill in the values")
    options.add_argument("--root", type=Path, default=ROOT, help="of the pages")
    chosen = options.parse_args()
    wrong: list[str] = []
    count = 0
    for page in pages(chosen.root):
        if chosen.write:
            text = page.read_text("utf-8")
            try:
                new = filled(text, folder=chosen.results)
            except QuoteError as error:
                wrong.append(f"{page}: {error}.")
            else:
                if new != text:
                    page.write_text(new, "utf-8")
        wrong += problems(page, folder=chosen.results)
        count += len(QUOTE.findall(page.read_text("utf-8")))
    for sentence in dict.fromkeys(wrong):
        print(sentence, file=sys.stderr)
    print(f"{count} quoted figures, {len(set(wrong))} problems.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
