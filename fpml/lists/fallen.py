"""Which kind of a household's income fell most, as its records hold it: so what tells of all income has a cause."""

from dataclasses import dataclass

import pyarrow as pa

from fpml.catalogue import EVER, Catalogue, Fell, Language, Window
from fpml.lists.known import Known
from fpml.lists.values import value_in_words


@dataclass(frozen=True)
class Fallen:
    """The kind of income that lies furthest below the same months of the year before, and its cause; '' for none."""

    cause: str
    fell: Fell

    def in_words(self, histories: pa.Table, at: int, catalogue: Catalogue, known: Known, language: Language) -> str:
        """What it is now and was then; where it is nothing now, the day of its last record."""
        words, fell = catalogue.listing.words, self.fell
        household = histories["household_id"][at].as_py()
        none_now = not histories[fell.now][at].as_py()
        day = known.last(household, fell.indicator, Window(length=EVER)) if none_now else None
        return (
            words["fell"]
            .said(language)
            .format(
                what=catalogue.indicators[fell.indicator].name.said(language),
                window=catalogue.wording[language].span(fell.window),
                value=value_in_words(fell.now, histories, at, catalogue, language),
                before=value_in_words(fell.before, histories, at, catalogue, language),
                last=words["last_of_it"].said(language).format(date=day) if day else "",
            )
        )


def fallen(histories: pa.Table, at: int, catalogue: Catalogue) -> Fallen | None:
    """What fell most in one row of histories; None where no kind of income that is known did."""
    most, told = 0.0, None
    for cause, likely in catalogue.listing.causes.items():
        lost = _lost(likely.fell, histories, at, catalogue) if likely.fell else 0.0
        if likely.fell and lost > most:
            most, told = lost, Fallen("" if cause == "other" else cause, likely.fell)
    return told


def _lost(fell: Fell, histories: pa.Table, at: int, catalogue: Catalogue) -> float:
    """By how much a kind of income lies below the year before; 0 where that is not known."""
    if not {fell.now, fell.before} <= set(histories.column_names):
        return 0.0
    now, before = (histories[name][at].as_py() for name in (fell.now, fell.before))
    return 0.0 if now is None or before is None else (before - now) / 10 ** catalogue.decimals(fell.now)
