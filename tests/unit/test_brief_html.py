"""The brief as an HTML page: well formed, sealed off, the figures of the Markdown, and hostile names stay text."""

import json
import re
from html.parser import HTMLParser

import pytest
from brief_samples import compose, compose_shipped, named, scorecard
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markupsafe import Markup

from mission_pipeline.brief.claims import END, MIDDLE, START, plain
from mission_pipeline.brief.document import Document, Entry, Section, Table, document_of
from mission_pipeline.brief.html import escaped_html, html_of, page_of
from mission_pipeline.brief.render import json_of, markdown_of, printable

VOID = {"meta"}
ATTRIBUTES = {
    "html": {"lang"}, "meta": {"charset", "http-equiv", "content", "name"}, "section": {"class", "id", "aria-label", "aria-labelledby"},
    "div": {"class"}, "nav": {"aria-label"}, "a": {"href"}, "h2": {"id"}, "ol": {"class"}, "ul": {"class"}, "p": {"class"},
    "table": {"role"}, "thead": {"role"}, "tbody": {"role"}, "tr": {"role"}, "th": {"scope", "role", "class", "data-label"},
    "td": {"role", "class", "data-label"}, "span": {"class", "data-claim", "title"},
    **dict.fromkeys(("head", "title", "style", "body", "header", "main", "footer", "h1", "dl", "dt", "dd", "li", "strong",
                     "caption", "details", "summary", "code"), frozenset()),
}  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>", "</td></table><h1>x", '"quoted" onload="x', "it's", "a & b", "&lt;b&gt; &#60; &amp;",
    "<!-- gone", "]]>", "{{ 7*7 }}", "{% raw %}", "line\nbreak", "tab\there", "\x1b[31mred\x1b[0m", "a\x00b",
    "\u202eright-to-left", "javascript:alert(1)", "</style><style>*{display:none}", "<svg/onload=x>",
    f"{START}mission.M1{MIDDLE}forged{END}", f"{START}half a mark", "Ünïcode \N{ROCKET}",
]  # fmt: skip


class Page(HTMLParser):
    """A page taken apart by Python's parser; a tag that is not closed in order, or not expected, is refused."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_decl(self, decl):
        assert decl == "doctype html"
        assert self.tags == []

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert set(names) <= ATTRIBUTES[tag], (tag, attrs)
        assert len(set(names)) == len(names), (tag, attrs)
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.append((tuple(self.open), data))
        else:
            assert data.isspace()

    def read(self, *without):
        """The text of the body that is not within the tags named, one space between any two words."""
        texts = [text for path, text in self.texts if "body" in path and not set(without) & set(path)]
        return " ".join("".join(texts).split())

    def within(self, tag):
        """The attributes of each element of a tag."""
        return [attributes for name, attributes in self.attributes if name == tag]


@pytest.fixture
def shipped_brief(policy):
    return compose_shipped(policy)


@pytest.fixture
def page(shipped_brief):
    return Page(html_of(shipped_brief))


def figures(text):
    return re.findall(r"\d[\d.,]*", text)


def texts_of(document):
    yield from (document.title, *document.footer)
    for entry in (*document.screen, *(item for section in document.sections for item in section.items)):
        yield from (entry.label, entry.text, *entry.details)
    for section in document.sections:
        yield from (section.title, *section.paragraphs, *section.notes)
        if section.table is not None:
            yield from section.table.columns
            yield from (cell for row in section.table.rows for cell in row)


def test_the_page_is_sealed_off_and_needs_nothing_else(page, shipped_brief):
    policies = [meta["content"] for meta in page.within("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert all(link["href"].startswith("#") for link in page.within("a"))
    text = html_of(shipped_brief)
    assert "://" not in text
    assert not re.search(r"url\(|@import|<script|<img|<link", text)
    assert page.within("meta")[0] == {"charset": "utf-8"}
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.within("meta")


def test_the_page_has_one_heading_one_main_and_a_titled_section_for_each_of_the_document(page, shipped_brief):
    document = document_of(shipped_brief)
    for tag in ("h1", "main", "title", "nav", "header", "footer"):
        assert page.tags.count(tag) == 1
    titles = [text for path, text in page.texts if path[-1] == "h2" or (path[-1] == "span" and path[-2] == "h2")]
    assert " ".join(titles) == " ".join(plain(section.title) for section in document.sections)
    ids = [attributes["id"] for _, attributes in page.attributes if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z-]+", each) for each in ids)
    for attributes in page.within("section")[1:]:
        assert attributes["aria-labelledby"] in ids
    assert [link["href"][1:] for link in page.within("a")] == [each["id"] for each in page.within("section")[1:]]


def test_each_table_has_a_caption_and_named_columns(page, shipped_brief):
    tables = [section.table for section in document_of(shipped_brief).sections if section.table is not None]
    assert page.tags.count("table") == page.tags.count("caption") == len(tables)
    heads = [each for each in page.within("th") if each["scope"] == "col"]
    assert len(heads) == sum(len(table.columns) for table in tables)
    cells = [*page.within("td"), *(each for each in page.within("th") if each["scope"] == "row")]
    assert len(cells) == sum(len(row) for table in tables for row in table.rows)
    labels = [each["data-label"] for tag, each in page.attributes if tag in ("td", "th") and "data-label" in each]
    assert labels == [plain(column) for table in tables for _ in table.rows for column in table.columns]


def test_the_page_reads_as_the_markdown_figure_by_figure(page, shipped_brief):
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown_of(shipped_brief))
    markdown = " ".join(child.content for token in tokens for child in token.children or ())
    shown = figures(page.read("nav", "caption", "details"))
    assert len(shown) > 100
    assert shown == figures(markdown)


def test_every_text_of_the_document_stands_on_the_page(page, shipped_brief):
    read = page.read()
    for text in texts_of(document_of(shipped_brief)):
        assert " ".join(plain(text).split()) in read


@pytest.mark.parametrize("status", ["ON_TRACK", "WATCH", "ATTENTION_REQUIRED", "NO_DATA"])
def test_a_status_is_a_word_and_a_colour(policy, status):
    brief = compose(policy, status, "LOW", missions=[scorecard(status=status)])
    page = Page(html_of(brief))
    style = {"ON_TRACK": "good", "WATCH": "watch", "ATTENTION_REQUIRED": "bad", "NO_DATA": "none"}[status]
    assert {"class": f"verdict {style}"} in page.within("div")
    assert {"class": f"status {style}"} in page.within("span")
    assert page.read().split("Status ")[1].startswith(status)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(policy, name):
    text = html_of(named(policy, name))
    page, harmless = Page(text), Page(html_of(named(policy, "plain")))
    assert page.tags == harmless.tags
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e\ue000-\ue002]", text)
    assert " ".join(printable(name).split()) in page.read()


@run_with(max_examples=100)
@given(st.text(max_size=40))
def test_escaped_text_reads_as_its_printable_self(text):
    page = Page(f"<p>{escaped_html(text.replace(START, ''))}</p>")
    assert page.tags == ["p"]
    assert "".join(part for _, part in page.texts) == printable(text.replace(START, ""))


def marked_as(claim, shown):
    return f"{START}{claim}{MIDDLE}{shown}{END}"


def test_a_claim_is_an_element_with_its_id_and_both_are_escaped():
    task, runs = marked_as('task."><i>.x', "a <i> & b"), marked_as("m.runs", "2")
    text = f"<b> {task} of {runs}"
    page = Page(f"<p>{escaped_html(text)}</p>")
    assert page.within("span") == [
        {"class": "claim", "data-claim": 'task."><i>.x', "title": 'claim task."><i>.x'},
        {"class": "claim", "data-claim": "m.runs", "title": "claim m.runs"},
    ]
    assert "".join(part for _, part in page.texts) == "<b> a <i> & b of 2"


def test_nothing_but_this_packages_own_markup_goes_unescaped():
    assert escaped_html(Markup("<b>")) == "<b>"
    assert escaped_html("<b>") == "&lt;b&gt;"
    assert escaped_html(7) == "7"


def test_claims_may_stand_anywhere_in_a_document():
    one = marked_as("a.status", "WATCH")
    table = Table(
        ("Id", "Status", "Runs"), frozenset({"Runs"}), ((marked_as("m.id", "M1"), one, marked_as("m.runs", "2")),)
    )
    text = page_of(
        Document(
            title=f"Brief as of {marked_as('day', '2026-02-06')}",
            status=one,
            screen=(Entry("Status", f"{one} – a look"), Entry("Trend", "up", (f"by {marked_as('up', '5 %')}",))),
            sections=(Section(f"Why {one}", (one,), (Entry(one, one, (one,)),), table=table, notes=(one,)),),
            footer=(one,),
        ),
        as_of="2026-02-06",
    )
    page = Page(text)
    assert not re.search("[\ue000-\ue002]", text)
    assert page.read("nav", "caption", "details") == (
        "Brief as of 2026-02-06 Status WATCH – a look Trend up by 5 % Why WATCH WATCH WATCH: WATCH WATCH "
        "Id Status Runs M1 WATCH 2 WATCH WATCH"
    )
    assert [part for path, part in page.texts if path[-1] == "title"] == ["Brief as of 2026-02-06: WATCH"]
    assert {"class": "verdict watch"} in page.within("div")
    assert {"class": "status watch"} in page.within("span")
    claims = [part for path, part in page.texts if path[-1] == "code"]
    assert claims == ["mission explain CLAIM --as-of 2026-02-06", "a.status", "up"]


def test_short_texts_of_a_table_stay_on_one_line_and_words_without_an_end_are_broken():
    cells = ("from 2026-02-01 on", f"of {marked_as('run', 'X' * 31)}", "the words of a sentence break")
    page = Page(
        page_of(Document("B", "WATCH", (), (Section("S", table=Table(("A", "B", "C"), frozenset("AB"), (cells,))),)))
    )
    assert [cell.get("class") for cell in page.within("td")] == ["number short", "number long", None]


def test_a_document_without_claims_tells_of_none():
    page = Page(page_of(Document("Brief", "WATCH", (Entry("Status", "WATCH"),), ())))
    assert "details" not in page.tags


def test_every_claim_of_the_page_has_its_query_in_the_brief(page, shipped_brief):
    claims = [attributes["data-claim"] for attributes in page.within("span") if "data-claim" in attributes]
    assert len(claims) > 100
    assert set(claims) <= set(shipped_brief["evidence"])
    assert not re.search(r"\d", page.read("span", "details"))


def test_the_same_brief_gives_the_same_page_also_from_its_file(policy, shipped_brief):
    assert html_of(shipped_brief) == html_of(json.loads(json_of(compose_shipped(policy))))


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_asks_for(shipped_brief, scheme):
    light, dark = re.findall(r":root \{(.*?)\}", html_of(shipped_brief), flags=re.S)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))
    pairs = [("ink", "paper"), ("quiet", "paper"), ("link", "paper")]
    pairs += [(f"{status}-ink", status) for status in ("good", "watch", "bad", "none")]
    assert set(colours) == {name for pair in pairs for name in pair} | {"line"}
    for text, ground in pairs:
        low, high = sorted((luminance(colours[text]), luminance(colours[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
