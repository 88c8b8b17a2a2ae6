"""The words of the review page: one file for each language, with the same keys."""

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from fpml.catalogue import Language, Words

LANGUAGES: tuple[Language, ...] = ("zh", "en")


@cache
def words_in(language: Language) -> dict[str, Any]:
    """Everything that the page says in a language."""
    text = (files("fpml.review") / "words" / f"{language}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def say(*place: str, **values: object) -> Words:
    """What stands at a place of the words, in both languages; raises KeyError where nothing does.

    >>> say("values", "corner", "model").en
    'by the model only'
    """
    told = {language: _at(language, place) for language in LANGUAGES}
    return Words(**{k: v.format(**values) if values else v for k, v in told.items()})


def say_pair(*place: str) -> tuple[Words, Words]:
    """A name and what it means: places that hold two sentences."""
    names, meanings = ({k: _at(k, place)[n] for k in LANGUAGES} for n in (0, 1))
    return Words(**names), Words(**meanings)


def said_at(*place: str) -> Words | tuple[Words, Words]:
    """What stands at a place, for a template: words, or a name and what it means."""
    return say_pair(*place) if isinstance(_at("zh", place), list) else say(*place)


def of_column(table: str, column: str) -> tuple[Words, Words]:
    """The head of a table's column and what it means; a table's own words go before those of all tables."""
    own = f"{table}.{column}"
    return say_pair("columns", own if own in words_in("zh")["columns"] else column)


def of_value(column: str, value: str) -> Words:
    """What a cell that holds a name says; a name that nobody knows says itself."""
    known = words_in("zh")["values"].get(column, {})
    return say("values", column, value) if value in known else Words(zh=value or "–", en=value or "–")


def _at(language: Language, place: tuple[str, ...]) -> Any:
    found: Any = words_in(language)
    for step in place:
        found = found[step]
    return found
