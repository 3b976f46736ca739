from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from linkage.errors import InternalError
from linkage.reports import charts
from linkage.reports.drawing import _inline
from linkage.reports.html import DataTable, Figure, KeyFigures, Paragraph, Section, page

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def sample(text: str) -> str:
    rows: list[dict[str, Any]] = [
        {"category": text, "series": text, "value": 3},
        {"category": "b", "series": "s", "value": None},
    ]
    label = [{**row, "label": text, "month": "2024-01"} for row in rows]
    share = {"share": 0.5, "low": 0.4, "high": 0.6, "label": text}
    members = [{"members": [text], "value": 5, "label": text}]
    words: dict[str, Any] = {"title": text, "description": text}
    return page(
        text,
        [
            Section(text, [Paragraph(text), Paragraph(text, warning=True)]),
            Section("f", [KeyFigures([Figure(text, text, text)])]),
            Section("t", [DataTable(text, [text, text], [(text, text)], note=text)]),
            Section(
                "c",
                [
                    charts.grouped_bars(rows, x_title=text, y_title=text, **words),
                    charts.months(label, y_title=text, **words),
                    charts.intervals([{"category": text, **share}], x_title=text, **words),
                    charts.combinations(members, [text, "b"], y_title=text, **words),
                    charts.histogram([0, 1, 2], [3, 4], x_title=text, y_title=text, **words),
                ],
            ),
        ],
        subtitle=text,
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "path", "line", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "line", "rect"):
            assert self.open.pop() == tag


def tags(html: str) -> Tags:
    parser = Tags()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def test_whatever_the_text_no_markup_of_it_survives() -> None:
    found = tags(sample(EVIL)).tags
    names = {tag for tag, _ in found}
    assert not names & {
        "script",
        "img",
        "image",
        "iframe",
        "object",
        "link",
        "foreignobject",
        "use",
    }
    assert not [a for _, attrs in found for a in attrs if a.startswith("on")]
    for tag, attrs in found:
        for name in ("src", "href", "xlink:href"):
            if name in attrs:
                assert tag == "a"
                assert re.fullmatch(r"#s\d+", attrs[name] or "")


def test_nothing_refers_to_another_place() -> None:
    html = sample("plain")
    assert "http://" not in html
    assert "https://" not in html
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", html)
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_the_same_content_gives_the_same_bytes() -> None:
    assert sample("plain") == sample("plain")


def test_a_reader_without_sight_finds_headings_captions_and_labels() -> None:
    found = tags(sample("plain")).tags
    names = [tag for tag, _ in found]
    assert names.count("h1") == 1
    assert names.count("caption") == names.count("table") == 6
    drawings = [attrs for tag, attrs in found if tag == "svg"]
    assert len(drawings) == 5
    assert all(attrs["role"] == "img" and attrs["aria-label"] == "plain" for attrs in drawings)
    assert ("html", {"lang": "en"}) in found
    headings = [attrs["id"] for tag, attrs in found if tag == "h2"]
    assert headings == ["s1", "s2", "s3", "s4"]
    assert all("scope" in attrs for tag, attrs in found if tag == "th")


def test_ids_of_two_charts_do_not_collide() -> None:
    html = sample("plain")
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([\w-]+)\)", html)) <= set(ids)


def test_numbers_align_and_words_do_not() -> None:
    table = DataTable("c", ["a", "b", "c", "d"], [("1", "2,000", "x", None), ("2", 3, "4", None)])
    assert [table.numeric(n) for n in range(4)] == [False, True, False, False]


@pytest.mark.parametrize(
    "inside",
    ["<script>1</script>", '<image href="x"/>', '<a xlink:href="x"/>', '<g onload="x"/>',
     '<text>5" tall</text><script>1</script>'],
)  # fmt: skip
def test_a_drawing_with_more_than_shapes_is_refused(inside: str) -> None:
    with pytest.raises(InternalError):
        _inline(f'<svg width="1">{inside}</svg>', "x")


def test_what_may_not_be_shown_is_not_drawn() -> None:
    rows: list[dict[str, Any]] = [
        {"members": ["a"], "value": 120, "label": "120"},
        {"members": ["a", "b"], "value": None, "label": "1-10"},
    ]
    chart = charts.combinations(rows, ["a", "b"], title="t", description="d", y_title="People")
    assert "1-10" in chart.svg
    assert chart.data is not None
    assert [tuple(row) for row in chart.data.rows] == [("a", "120"), ("a and b", "1-10")]
