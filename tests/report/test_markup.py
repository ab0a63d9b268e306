"""There is no way to put text into a page unescaped."""

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.pictures.text import clean
from trainwell.report.markup import element, together
from trainwell.report.parts import table

ANY_TEXT = st.text(st.characters(), max_size=60)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@settings(deadline=None, max_examples=200)
@given(text=ANY_TEXT, value=ANY_TEXT)
def test_text_and_attributes_come_back_as_they_were(text: str, value: str) -> None:
    reader = read(element("p", text, title=value).text)
    assert reader.tags == ["p"]
    assert reader.attributes == [{"title": clean(value)}]
    assert "".join(reader.texts) == clean(text)


@settings(deadline=None, max_examples=50)
@given(cell=ANY_TEXT)
def test_a_table_holds_its_cells_and_nothing_else(cell: str) -> None:
    reader = read(table(cell, (cell, "b"), [(cell, cell)], numeric=(1,)).text)
    assert set(reader.tags) == {"div", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert "".join(reader.texts) == clean(cell) * 2 + "b" + clean(cell) * 2


def test_attributes_without_value_and_left_out() -> None:
    assert element("details", open=True).text == "<details open></details>"
    assert element("details", open=False, class_=None).text == "<details></details>"
    assert element("img", src="data:,", alt="a").text == '<img src="data:," alt="a">'
    assert together(None, "a<", element("b", "c")).text == "a&lt;<b>c</b>"
