"""Sets the pages: the templates with what they show, every text escaped as it is written. Reads no store."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from mission_pipeline.runner.inbox.shown import clean, width_class
from mission_pipeline.runner.typed import LONGEST_NAME, LONGEST_REASON

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup


def page(template: str, **shown: Any) -> str:
    """Return a page as HTML."""
    return _environment().get_template(f"{template}.html.j2").render(**shown)


@cache
def stylesheet() -> str:
    """Return the one stylesheet."""
    source, _, _ = _loader().get_source(_environment(), "inbox.css")
    return source


def escaped_html(value: object) -> Markup:
    """Return a value as HTML that shows exactly its visible text, lines kept."""
    from markupsafe import Markup, escape

    return value if isinstance(value, Markup) else escape(clean(str(value), keep_lines=True))


@cache
def _loader() -> jinja2.PackageLoader:
    import jinja2

    return jinja2.PackageLoader("mission_pipeline.runner.inbox")


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=_loader(),
        autoescape=True,
        finalize=escaped_html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "width_class": width_class,
        "longest_name": LONGEST_NAME,
        "longest_reason": LONGEST_REASON,
    }
    return environment
