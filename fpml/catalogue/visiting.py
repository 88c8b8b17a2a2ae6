"""What a visit is asked and may answer, the steps of the procedure after it, and the days on which offices work."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from fpml.catalogue.types import Indicator, Language, Mark, Name, Policy, Words
from fpml.errors import Fault, did_you_mean

# Whether the first, second and third reason of a row was found so.
CONFIRM = ("reason_1", "reason_2", "reason_3")
# The step before all others: the household stands on a published list, from its as-of on.
LISTED, VERIFIED = "listed", "verified"
# The steps that the register tells of, by the status of those in monitoring: its first day and its last.
REGISTERED, CLEARED = "registered", "cleared"


class Answer(Policy):
    """One answer to whether the warning is true.

    `records`: the code of the indicator `verified` by which the ledger is told; none where nothing was found out.
    `met`: whether anybody was met at all. `goes_on`: whether the procedure goes on after it.
    """

    name: Words
    records: int | None = None
    met: bool = True
    goes_on: bool = False


class Measure(Policy):
    """A measure to consider, and the causes that it is for."""

    name: Words
    causes: tuple[Name, ...] = ()


class Step(Policy):
    """A step of the procedure: after which other it comes, and by when: in working days or in days, none if not set."""

    name: Words
    after: Name
    working_days: int | None = Field(default=None, ge=1, le=250)
    days: int | None = Field(default=None, ge=1, le=366)
    mark: Mark
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one_deadline(self) -> Self:
        if self.working_days and self.days:
            raise ValueError("both working_days and days; keep one of the two")
        return self


class Refusal(Policy):
    """Why a row of a filled-in workbook is not taken, and what to do about it."""

    says: Words
    remedy: Words


def _days(text: object) -> object:
    """The days that `02-10..02-17` or `04-04` names, as pairs of month and day; the year is told beside."""
    if not isinstance(text, str):
        return text
    first, _, last = text.partition("..")
    try:
        # A leap year, so that the 29th of February is a day.
        begin, end = (date.fromisoformat(f"2024-{part}") for part in (first, last or first))
    except ValueError:
        raise ValueError("not a day or a range of days; write `04-04` or `02-10..02-17`") from None
    if end < begin:
        raise ValueError("a range that ends before it begins; mend one of the two days")
    return (begin.month, begin.day), (end.month, end.day)


Span = Annotated[tuple[tuple[int, int], tuple[int, int]], BeforeValidator(_days)]


class Year(Policy):
    """A year's days off work, and the Saturdays and Sundays on which offices work instead."""

    off: tuple[Span, ...] = ()
    on: tuple[Span, ...] = ()


class WorkingDays(Policy):
    """The calendar of working days: Monday to Friday, but for the days that a year's notice moves."""

    source: str = ""
    years: dict[int, Year] = Field(default_factory=dict)

    def works(self, day: date) -> bool:
        """Whether offices work on a day; of a year without a notice, weekdays count."""
        year = self.years.get(day.year, Year())
        if any(_within(day, span) for span in year.on):
            return True
        return day.weekday() < 5 and not any(_within(day, span) for span in year.off)

    def after(self, day: date, working_days: int) -> date:
        """The last of so many working days after a day, which itself does not count."""
        left = working_days
        while left:
            day += timedelta(days=1)
            left -= self.works(day)
        return day


def _within(day: date, span: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    return span[0] <= (day.month, day.day) <= span[1]


class Visiting(Policy):
    """Everything that a list to be filled in takes from policy, in every language. `words` are its own headings."""

    answers: dict[Name, Answer] = Field(min_length=2)
    causes: dict[Name, Words] = Field(min_length=1)
    no_cause: Name
    income_checks: dict[Name, Words] = Field(min_length=1)
    confirmations: dict[Name, Words] = Field(default_factory=dict)
    measures: dict[Name, Measure] = Field(min_length=1)
    steps: dict[Name, Step] = Field(min_length=1)
    words: dict[Name, Words]
    refusals: dict[Name, Refusal]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.no_cause not in self.causes:
            raise ValueError(f"no_cause: `{self.no_cause}` is none of the causes; name one of them")
        known = [LISTED]
        for name, step in self.steps.items():
            if step.after not in known:
                raise ValueError(f"step {name} comes after `{step.after}`, which no earlier step is; put them in order")
            known.append(name)
        if VERIFIED not in self.steps:
            raise ValueError("steps without `verified`; it is the one that a visit reaches")
        for name, measure in self.measures.items():
            if wrong := [c for c in measure.causes if c not in self.causes]:
                raise ValueError(f"measure {name} is for `{wrong[0]}`, which is no cause; name causes that are")
        for what, choices in self.choices().items():
            for language in ("zh", "en"):
                said = [w.said(language) for w in choices.values()]
                if len(set(said)) < len(said):
                    raise ValueError(f"two {what} of the same words; a filled-in cell must say which is meant")
        return self

    def choices(self) -> dict[str, dict[str, Words]]:
        """What may be chosen in each column that has choices, by the column's name."""
        return {
            VERIFIED: {k: a.name for k, a in self.answers.items()},
            "cause": self.causes,
            "income_check": self.income_checks,
            "measures": {k: m.name for k, m in self.measures.items()},
            **dict.fromkeys(CONFIRM, self.confirmations),
        }

    def told_steps(self) -> tuple[str, ...]:
        """The steps whose dates a filled-in workbook tells: neither the visit's own nor the register's."""
        return tuple(n for n in self.steps if n not in (VERIFIED, REGISTERED, CLEARED))

    def word(self, name: str, language: Language, /, **parts: object) -> str:
        """One of its own words in a language, its places filled."""
        said = self.words[name].said(language)
        return said.format(**parts) if parts else said

    def faults(self, indicators: Mapping[str, Indicator]) -> Iterator[Fault]:
        """Codes that the indicator `verified` does not have."""
        verified = indicators.get(VERIFIED)
        codes = verified.codes if verified else None
        for name, answer in self.answers.items():
            if codes and answer.records is not None and answer.records not in codes:
                remedy = did_you_mean(str(answer.records), map(str, codes))
                yield Fault(f"visits.yaml @ answers.{name}.records", "no code of the indicator `verified`", remedy)


def with_defaults(own: Visiting, default: Visiting) -> Visiting:
    """A county's own, with the words and refusals that it does not say itself."""
    words, refusals = {**default.words, **own.words}, {**default.refusals, **own.refusals}
    asked = own.confirmations or default.confirmations
    return own.model_copy(update={"words": words, "refusals": refusals, "confirmations": asked})


def unsaid(words: Mapping[str, Words], wanted: Iterable[str]) -> list[str]:
    """The names that have no words."""
    return [name for name in wanted if name not in words]
