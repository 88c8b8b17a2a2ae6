"""One feature of a household as a sentence: its value, where it stands among others, who told it, and until when."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import pyarrow as pa

from fpml.catalogue import EVER, Catalogue, Direction, Language
from fpml.dates import AsOf
from fpml.lists.fallen import Falls
from fpml.lists.known import Known
from fpml.lists.values import value_in_words
from fpml.lists.yardstick import Stands, Yardstick
from fpml.risk import Contributions, RiskModel

# How these stand now: of an earlier time the window must be said.
STATES = ("last", "holding")


@dataclass(frozen=True)
class Reason:
    """One indicator's part of an estimate, in words that can be checked at the door.

    `feature`: what is told; `group`: the indicator (or named group) whose log-odds contribution it is; `cause`: that of
    the indicator, or of the kind of income that fell, '' where it has none. `observed`: whether a value stands in it.
    `agrees`: whether the value lies on the side that policy says goes with such a contribution; what does not is told
    neutrally.
    """

    feature: str
    text: str
    contribution: float
    group: str = ""
    cause: str = ""
    observed: bool = True
    agrees: bool = False


@dataclass(frozen=True)
class Weighed:
    """A feature that may be told, and what speaks for it."""

    name: str
    observed: bool
    agrees: bool
    stands: Stands | None


@dataclass(frozen=True)
class _About:
    """What policy says of a feature, whoever it is told of."""

    leaning: Direction
    departments: tuple[str, ...]
    counted: tuple[str, ...]
    lag: int
    shown: str

    @classmethod
    def of(cls, name: str, catalogue: Catalogue) -> "_About":
        """Of one feature; of an amount against the line the amount itself is shown."""
        derived = catalogue.derived.get(name)
        shown = derived.of if derived and name in catalogue.in_lines else name
        departments, counted = catalogue.told_by(name), catalogue.counted_by(name)
        return cls(catalogue.leaning(name), departments, counted, catalogue.usual_lag(name), shown)


@dataclass(frozen=True)
class Teller:
    """Tells features of the households of some histories, all of one as-of.

    `yardstick`: the households that values are held against; None: against nobody, where not all are at hand.
    """

    histories: pa.Table
    catalogue: Catalogue
    language: Language
    known: Known
    yardstick: Yardstick | None = None
    _features: dict[str, _About] = field(default_factory=dict, repr=False)
    _pointing: dict[tuple[str, ...], tuple[int, ...]] = field(default_factory=dict, repr=False)

    def of_group(self, told: Contributions, model: RiskModel, row: int, group: int, at: int) -> Reason:
        """The reason that a group of features is: of the features that contribute most of it the one best told."""
        part = float(told.grouped[row, group])
        return self._reason(self.best(told, model, row, group, at), at, part, told.groups[group])

    def best(self, told: Contributions, model: RiskModel, row: int, group: int, at: int) -> Weighed:
        """Of the features that contribute most of a group: observed before unknown, agreeing before neutral, and the
        stronger before the weaker."""
        part, toward = float(told.grouped[row, group]), told.toward(row, group)
        most = self.catalogue.listing.reasons.tells * max(p for _, p in toward)
        offered = []
        for _, f in sorted((-p, f) for f, p in toward if p >= most):
            offered.append(self._weighed(self._about(model.features[f]).shown, at, part))
            if offered[-1].agrees:
                break
        return min(offered, key=lambda w: (not w.observed, not w.agrees))

    def always(self, at: int) -> Iterator[Reason]:
        """The first feature that policy names for everybody and that is known of the household; none that raises."""
        names = (*self.catalogue.listing.reasons.always, self.catalogue.county.watched.feature)
        for name in names:
            if name in self.histories.column_names and self.histories[name][at].is_valid:
                yield self._reason(self._weighed(name, at, 0.0), at, 0.0, self.catalogue.group(name))
                return

    def below(self, at: int) -> Reason:
        """What says that a household is below the line already, with its value."""
        name = self.catalogue.county.below_already.feature
        told = self._reason(self._weighed(name, at, 0.0), at, 0.0, self.catalogue.group(name))
        text = self._word("below").format(told=told.text) + self._fell(at)
        return Reason(name, text, 0.0, told.group)

    def cause(self, group: str, contribution: float, at: int) -> str:
        """The cause that a contribution points to, '' where it points to none.

        What tells of all income, and raises the estimate, points to the cause whose kind of income fell most.
        """
        if contribution > 0 and group in self.catalogue.listing.reasons.shared:
            fell = self._falls.of(at)
            return fell.cause if fell else ""
        return self.catalogue.cause(group)

    @cached_property
    def _falls(self) -> Falls:
        return Falls(self.histories, self.catalogue)

    def pointing(self, groups: tuple[str, ...]) -> tuple[int, ...]:
        """The positions of the groups that may point to a cause."""
        if groups not in self._pointing:
            shared = self.catalogue.listing.reasons.shared
            told = [g in shared or bool(self.catalogue.cause(g)) for g in groups]
            self._pointing[groups] = tuple(n for n, may in enumerate(told) if may)
        return self._pointing[groups]

    def _fell(self, at: int) -> str:
        """The kind of income that fell most, now and a year before; '' where none did."""
        fell = self._falls.of(at)
        return fell.in_words(self.histories, at, self.catalogue, self.known, self.language) if fell else ""

    def _about(self, name: str) -> _About:
        if name not in self._features:
            self._features[name] = _About.of(name, self.catalogue)
        return self._features[name]

    def _weighed(self, name: str, at: int, contribution: float) -> Weighed:
        stands = self.yardstick.stands(name, at) if self.yardstick else None
        agrees = agree(self._about(name).leaning, contribution, stands)
        return Weighed(name, self.histories[name][at].is_valid, agrees, stands)

    def _reason(self, told: Weighed, at: int, contribution: float, group: str) -> Reason:
        neutral = told.observed and not told.agrees and contribution != 0 and self.yardstick is not None
        shared = contribution > 0 and group in self.catalogue.listing.reasons.shared
        text = self._sentence(told, at) + (self._fell(at) if shared else "")
        text += self._word("neutral") if neutral else ""
        cause = self.cause(group, contribution, at)
        return Reason(told.name, text, contribution, group, cause, told.observed, told.agrees)

    def _sentence(self, told: Weighed, at: int) -> str:
        catalogue, name = self.catalogue, told.name
        departments = self._about(name).departments
        spoken = [catalogue.departments[d].name.said(self.language) for d in departments]
        return self._word("told" if name in catalogue.features else "derived").format(
            what=self._what(name, at),
            yardstick=self._held(told.stands),
            department=("、" if self.language == "zh" else ", ").join(spoken),
            date=self._date(name, at),
            gap=self._gap(name),
        )

    def _what(self, name: str, at: int) -> str:
        """What is told and its value; each reduction has a sentence of its own."""
        catalogue = self.catalogue
        value = value_in_words(name, self.histories, at, catalogue, self.language)
        feature = catalogue.features.get(name)
        earlier = feature and feature.window.ago and feature.reduction in STATES
        if feature is None or earlier or not self.histories[name][at].is_valid:
            return self._word("say").format(what=catalogue.describe(name, self.language), value=value)
        spoken = catalogue.wording[self.language].span(feature.window)
        what = catalogue.indicators[feature.indicator].name.said(self.language)
        window = "" if feature.window.length >= EVER and not feature.window.ago else spoken
        return self._word(f"say_{feature.reduction}").format(what=what, value=value, window=window).strip()

    def _held(self, stands: Stands | None) -> str:
        if stands is None:
            return ""
        return self._word(stands.side).format(place=self._word(f"place_{stands.place}"), share=stands.share)

    def _date(self, name: str, at: int) -> str:
        """Until when a value is known: the last month that its departments told of, the day of its last record."""
        told = self._reported(self._about(name).counted)
        if name in self.catalogue.features and self.histories[name][at].as_py():
            feature = self.catalogue.features[name]
            household = self.histories["household_id"][at].as_py()
            day = self.known.last(household, feature.indicator, feature.window)
            return self._last_record(told, day) if day else told
        return told

    def _last_record(self, told: str, day: date) -> str:
        stop = "，" if self.language == "zh" else ", "
        return f"{told}{stop}{self._word('last_record').format(date=day)}"

    def _reported(self, departments: tuple[str, ...]) -> str:
        """Until when departments that tell month by month had told, the earliest; the as-of where there is none."""
        months = [self.known.reported.get(d) for d in departments]
        if self.known.reported and None in months:
            return self._word("never")
        end = min((m for m in months if m is not None), default=self.known.as_of.month)
        return self._word("reported").format(date=AsOf(min(end, self.known.as_of.month)).date)

    def _gap(self, name: str) -> str:
        """Which of the departments are behind what is usual of them."""
        usual = self._about(name).lag
        out = []
        for department in self._about(name).counted:
            told = self.known.reported.get(department)
            cadence = self.catalogue.departments[department].cadence_months
            late = 0 if told is None else self.known.as_of.month - told - usual - (cadence - 1)
            if late > 0:
                said = self.catalogue.departments[department].name.said(self.language)
                out.append(self._word("gap" if late == 1 else "gap_longer").format(department=said, months=late))
        return "".join(out)

    def _word(self, name: str) -> str:
        return self.catalogue.listing.words[name].said(self.language)


def agree(leaning: Direction, contribution: float, stands: Stands | None) -> bool:
    """Whether a value that is high or low among others goes, by policy, with a contribution of this sign."""
    if stands is None or stands.side == "usual" or leaning == "unclear" or not contribution:
        return False
    return (stands.side == "above") == ((leaning == "raises") == (contribution > 0))
