"""Pages: templates filled in, everything from outside escaped, nothing to be fetched from anywhere."""

from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from fpml.review.said import said_at

_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("fpml.review"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.globals["say"] = said_at
_PAGES.filters["number"] = lambda n: f"{n:,}"


def rendered(template: str, **context: object) -> str:
    """A template filled in; raises jinja2.UndefinedError where it asks for what the context does not have."""
    return _PAGES.get_template(template).render(**context)


def script(name: str) -> Markup:
    """A script of the pages as it is, for a page to carry within itself."""
    return Markup((files("fpml.review") / "templates" / name).read_text(encoding="utf-8"))


def written(path: Path, text: str) -> Path:
    """Writes a page in one step: whoever has it open never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
    return path
