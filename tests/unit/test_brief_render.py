"""The brief as text and Markdown: hostile names stay text, every line fits, both formats say the same."""

import re

import pytest
from brief_samples import compose_shipped, named
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from mission_pipeline.brief.claims import END, MIDDLE, START, plain
from mission_pipeline.brief.document import Table, document_of, first_screen_of
from mission_pipeline.brief.render import (
    _column_widths,
    escaped_markdown,
    json_of,
    markdown_of,
    print_brief,
    printable,
    text_of,
)

FIRST_SCREEN_AT_80 = """\
Mission brief as of 2026-02-06

Status              WATCH – needs a look, not yet an intervention
In one sentence     Progress is real, but not enough for ON_TRACK until friction
                    and autonomy improve in Accelerate Sales Pipeline
                    Progression.
Primary driver      Autonomy regression in Accelerate Sales Pipeline Progression
                    - Its runs depend on people more than before, although its
                    main KPI improves: the autonomy score (a hundred: no person
                    had to step in) is 45.95, with 1.5 human interventions and
                    0.5 escalations per run. Escalations rise as well (signal
                    from 2 runs, not proven). It is not yet self-sustaining.
Trend               All 3 missions improve on their main KPI (a signal from 2 to
                    3 runs each, not proven), but autonomy worsens in Accelerate
                    Sales Pipeline Progression (signal from 2 runs, not proven).
Friction            T5 "Draft personalized outreach email": recurring task
                    overrun (the task takes longer than planned), 7.33 minutes
                    per run over plan or waiting for a person.
Recommended action  Reduce interventions and escalations in T5 "Draft
                    personalized outreach email" within the next execution
                    cycle; re-scope it or add capacity to restore autonomy.
                    - Aim: an autonomy score of 55 or more (now 45.95) that no
                    longer falls from run to run; that takes at most 1.05 human
                    interventions and 0.35 escalations per run.
                    - Owner: none is named
Confidence          MEDIUM – good enough to act on, not to take for certain
                    - Accelerate Sales Pipeline Progression (M002) has only 2
                    finished runs
"""

HOSTILE = [
    "*bold*", "a | b", "<script>alert(1)</script>", "[click](http://evil)", "# heading", "- item", "1. item", "`code`",
    "_emphasis_", "~~gone~~", "&amp;", "\\", "![x](y)", "line\nbreak", "tab\there", "$x$", "www.evil.org",
    "me@evil.org", "=====", "\x1b[31mred\x1b[0m", "\u202eright-to-left", "[bold]rich[/bold]", "{{ 7*7 }}", "a\x00b",
]  # fmt: skip


@pytest.fixture
def shipped_brief(policy):
    return compose_shipped(policy)


def shown(markdown):
    """The text that a Markdown renderer shows, by a real one."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in inline} <= {"text", "text_special", "strong_open", "strong_close", "softbreak"}
    assert not [token for token in tokens if token.type in {"html_block", "code_block", "fence", "blockquote_open"}]
    return "".join(token.content for token in inline)


def unescaped(markdown):
    """What a Markdown renderer would show: entities and backslashes undone."""
    text = re.sub(r"\\([^0-9A-Za-z\s])", r"\1", markdown)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_the_first_screen_of_the_shipped_portfolio_in_80_columns(shipped_brief):
    assert text_of(shipped_brief, width=80).startswith(FIRST_SCREEN_AT_80)


def test_the_first_screen_fits_one_screen(shipped_brief):
    console = Console(file=open("/dev/null", "w"), width=80)  # noqa: SIM115, PTH123
    with console.capture() as captured:
        print_brief(console, first_screen_of(shipped_brief))
    assert len(captured.get().splitlines()) <= 30


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_asked(shipped_brief, width):
    assert max(cell_len(line) for line in text_of(shipped_brief, width=width).splitlines()) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_words_stay_whole_in_tables(shipped_brief, width):
    words = set(text_of(shipped_brief, width=width).split())
    for word in ("RUN_2026_02_01_006", "Interventions", "onboarding", "touchpoints", "Resolution", "ATTENTION"):
        assert word in words or word == "ATTENTION"


def test_text_for_a_file_has_no_escape_sequences(shipped_brief):
    assert "\x1b" not in text_of(shipped_brief)


def test_every_text_of_the_document_stands_in_both_formats(shipped_brief):
    document = document_of(shipped_brief)
    markdown = unescaped(markdown_of(shipped_brief))
    text = " ".join(text_of(shipped_brief, width=10_000).split())
    texts = [document.title, *document.footer]
    for entry in (*document.screen, *(item for section in document.sections for item in section.items)):
        texts += [entry.label, entry.text, *entry.details]
    for section in document.sections:
        texts += [section.title, *section.paragraphs, *section.notes]
        if section.table is not None:
            texts += [*section.table.columns, *(cell for row in section.table.rows for cell in row)]
    for part in texts:
        assert plain(part) in markdown
        assert plain(part) in text
    assert not {START, MIDDLE, END} & {*markdown, *text}


def test_each_section_of_the_contract_is_there_in_order(shipped_brief):
    titles = re.findall(r"^## (.*)$", markdown_of(shipped_brief), flags=re.M)
    assert titles == [
        "What to fix, what costs most time first",
        "What changed since the last brief",
        "What went well",
        "The missions side by side",
        "KPIs against baseline and target",
        "Friction",
        "Autonomy: how far the missions run without people",
        "Risks detected and reported",
        "Where reported figures disagree with the telemetry",
        "Data quality",
        "What would turn the status to ON_TRACK",
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(policy, name):
    brief = named(policy, name)
    harmless = markdown_of(named(policy, "plain"))
    markdown = markdown_of(brief)
    assert len(markdown.splitlines()) == len(harmless.splitlines())
    headings = re.compile(r"^#+ ", flags=re.M)
    assert len(headings.findall(markdown)) == len(headings.findall(harmless))
    assert len(re.findall(r"(?<!\\)\|", markdown)) == len(re.findall(r"(?<!\\)\|", harmless))
    assert not re.search(r"<[a-z/!]", markdown)
    assert not re.search(r"(?<!\\)\]\(", markdown)
    assert "".join(printable(name).split()) in "".join(shown(markdown).split())
    text = text_of(brief, width=10_000)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert printable(name) in text


@run_with(max_examples=60)
@given(st.text(max_size=30))
def test_escaped_text_reads_as_its_printable_self(text):
    escaped = escaped_markdown(text)
    assert unescaped(escaped) == printable(text)
    assert "\n" not in escaped


@run_with(max_examples=60)
@given(
    st.lists(st.lists(st.text("abc ", max_size=30), min_size=3, max_size=3), max_size=4),
    st.integers(20, 120),
)
def test_columns_share_a_width_without_breaking_words(rows, width):
    table = Table(("One", "Two", "Three"), frozenset(), tuple(tuple(row) for row in rows))
    widths = _column_widths(table, width)
    columns = list(zip(table.columns, *table.rows, strict=True))
    longest = [max(len(word) for cell in column for word in cell.split()) for column in columns]
    if sum(longest) + 4 > width:
        assert widths == [None, None, None]
    else:
        assert sum(widths) + 4 <= width
        assert all(given >= needed for given, needed in zip(widths, longest, strict=True))


def test_json_keeps_the_data_as_it_is(policy):
    name = "Ünïcode | <b> \x1b"
    assert "Ünïcode | <b> \\u001b" in json_of(named(policy, name))
