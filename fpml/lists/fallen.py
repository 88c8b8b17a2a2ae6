"""Which kind of a household's income fell most, as its records hold it: so what tells of all income has a cause."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue, Fell, Language
from fpml.lists.known import Known
from fpml.lists.values import value_in_words


@dataclass(frozen=True)
class Fallen:
    """The kind of income that lies furthest below the same months of the year before, and its cause; '' for none."""

    cause: str
    fell: Fell

    def in_words(self, histories: pa.Table, at: int, catalogue: Catalogue, known: Known, language: Language) -> str:
        """What it is now and was then; where it is nothing now, the day on which it last came."""
        words, fell = catalogue.listing.words, self.fell
        household = histories["household_id"][at].as_py()
        none_now = not histories[fell.now][at].as_py()
        day = known.came.get((household, fell.indicator)) if none_now else None
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


@dataclass
class Falls:
    """What fell most in each row of histories; their columns are read once, for all rows, when first asked for."""

    histories: pa.Table
    catalogue: Catalogue

    def of(self, at: int) -> Fallen | None:
        """What fell most in one row; None where no kind of income that is known did."""
        kind = int(self._most[at])
        return self._kinds[kind] if kind >= 0 else None

    @cached_property
    def _kinds(self) -> tuple[Fallen, ...]:
        causes = self.catalogue.listing.causes.items()
        kinds = (Fallen("" if cause == "other" else cause, likely.fell) for cause, likely in causes if likely.fell)
        there = set(self.histories.column_names)
        return tuple(k for k in kinds if {k.fell.now, k.fell.before} <= there)

    @cached_property
    def _most(self) -> npt.NDArray[np.int64]:
        """By row the kind that lost most, the first of equals; -1 where none that is known lost anything."""
        if not self._kinds:
            return np.full(self.histories.num_rows, -1)
        lost = np.stack([self._lost(k.fell) for k in self._kinds])
        return np.where(lost.max(axis=0) > 0, lost.argmax(axis=0), -1)

    def _lost(self, fell: Fell) -> npt.NDArray[np.float64]:
        """By how much a kind of income lies below the year before, by row; 0 where that is not known."""
        lost = pc.fill_null(pc.subtract(self.histories[fell.before], self.histories[fell.now]), 0)
        return lost.to_numpy() / 10 ** self.catalogue.decimals(fell.now)
