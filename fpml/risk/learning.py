"""Which household-months a model learns from: those that fell within a horizon, and a known share of the others.

Falls are rare: a household-month that was followed by none says little, and there are millions of them. Which of them
are kept is decided by a hash of household and as-of, so neither order nor shards nor anything known later has a say.
Probabilities stay right because the share is known: odds learnt from a sample in which negatives were kept with
probability p are the true odds divided by p (King and Zeng, "Logistic regression in rare events data", 2001).
"""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fpml.catalogue import Catalogue, OutcomeDefinition
from fpml.dates import AsOf
from fpml.features import KEY, as_of_months
from fpml.outcomes import UNKNOWN, Bools, Labels, household_codes, labels, matured, risk_set
from fpml.risk.definition import ModelDefinition
from fpml.risk.seen import Seen

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Made = TypeVar("Made")
FAR = np.iinfo(np.int64).max
# How many things are kept that models have in common.
KEPT = 20


@dataclass(frozen=True)
class Sample:
    """Household-months to learn from, one a row of `rows` (household_id, as_of), chosen before their features are made.

    `label`: what came of each at each horizon that is learnt, -1 where that is not known; `chance`: the number in
    [0, 1) by which a negative is kept or left; `negatives`: of how many negatives there were, by the month in which
    their first label had matured; `judged`: by which rows it is told how well it was learnt, those at risk, and with
    `any_risk` all; `late`: for each horizon that is shorter than the register's delay, the label of its last months, as
    many as the horizon has: 1 fell in them, 0 not by their end, -1 sooner, or not known.
    """

    outcome: OutcomeDefinition
    rows: pa.Table
    label: dict[int, Labels]
    at_risk: Bools
    judged: Bools
    chance: Floats
    negatives: dict[int, int]
    wanted: int | None
    late: dict[int, Labels] = field(default_factory=dict)

    def kept(self, origin: AsOf) -> float:
        """The share of the negatives that is learnt from at an origin, from those that had matured by then alone."""
        return _share(self.wanted, sum(n for month, n in self.negatives.items() if month <= origin.month))

    def learnt(self, horizon: int, origin: AsOf) -> Ints:
        """The rows whose label at a horizon is learnt from at an origin: every fall, and the share of the others."""
        return self._learnt(horizon, origin, 0.0, self.kept(origin))

    def dealt(self, horizon: int, origin: AsOf) -> Ints:
        """As `learnt`, with each of the others dealt to one horizon only, an equal part to each.

        Where horizons are learnt together a household-month says little more at the second than it did at the first.
        Where all are learnt from, each is dealt to every horizon.
        """
        if self.wanted is None:
            return self.learnt(horizon, origin)
        at, share = sorted(self.label).index(horizon), self.share_dealt(origin)
        return self._learnt(horizon, origin, at * share, (at + 1) * share)

    def share_dealt(self, origin: AsOf) -> float:
        """The share of a horizon's negatives that is dealt to it."""
        return self.kept(origin) / (1 if self.wanted is None else len(self.label))

    def _learnt(self, horizon: int, origin: AsOf, least: float, most: float) -> Ints:
        label = self.label[horizon]
        known = (label >= 0) & matured(self._months, horizon, self.outcome, origin.month)
        return np.flatnonzero(known & ((label == 1) | ((self.chance >= least) & (self.chance < most))))

    @cached_property
    def digest(self) -> str:
        """Of the household-months, their labels, and which of them judge: two samples of one digest teach the same.

        The chances stand for the household-months: each is a hash of one, and of the seed.
        """
        number = hashlib.blake2b(self.chance.tobytes(), digest_size=16)
        for h, label in sorted(self.label.items()):
            number.update(bytes([h]) + np.ascontiguousarray(label).tobytes())
        number.update(np.packbits(self.judged).tobytes())
        number.update(repr((self.outcome.known_after_months, sorted(self.negatives.items()), self.wanted)).encode())
        return number.hexdigest()

    @cached_property
    def _months(self) -> Ints:
        return as_of_months(self.rows)


def _not_told(_: AsOf) -> Seen | None:
    return None


@dataclass(frozen=True)
class Once:
    """What models have in common that learn from the same household-months is made once, and the latest kept.

    Models are fitted one after the other: it is not for threads.
    """

    kept: dict[Hashable, object] = field(default_factory=dict, repr=False)

    def __call__(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What a key stands for: made now, or before."""
        if key in self.kept:
            return cast(Made, self.kept[key])
        made = make()
        self.kept[key] = made
        while len(self.kept) > KEPT:
            del self.kept[next(iter(self.kept))]
        return made


@dataclass(frozen=True)
class LearningRows:
    """A sample with its features: row i of the sample is row `at[i]` of `histories`.

    `seen`: how probably falls are seen, as audits had told by an origin; None where they had not. `once`: what models
    have in common whose samples are of the same histories.
    """

    sample: Sample
    histories: pa.Table
    at: Ints
    seen: Callable[[AsOf], Seen | None] = _not_told
    once: Once = field(default_factory=Once)


def sampled(
    definition: ModelDefinition, histories: pa.Table, catalogue: Catalogue, *, origins: Sequence[AsOf]
) -> Sample:
    """What is to be learnt from at any of some origins.

    Of `histories`, which hold every as-of up to the last origin (perhaps later ones too), only the features that
    outcomes read are looked at (`fpml.outcomes.told_by`).
    """
    outcome = catalogue.county.outcomes[definition.outcome]
    coded = histories["household_id"].combine_chunks().dictionary_encode()
    histories = histories.set_column(histories.column_names.index("household_id"), "household_id", coded)
    months, last = as_of_months(histories), max(origins).month
    risks = risk_set(outcome, histories, catalogue)
    chance = chances(histories, seed=definition.seed)
    eligible = risks.state_known if definition.learn_rows == "known" else risks.at_risk
    if definition.learn_rows == "any_risk":
        eligible = eligible | _others(outcome, histories, catalogue)
    label = {h: labels(outcome, histories, catalogue, h) for h in sorted(definition.learn_horizons)}
    late: dict[int, Labels] = {}
    if any(h < definition.delay for h in label):
        by_then = labels(outcome, histories, catalogue, definition.delay)
        for h in (h for h in label if h < definition.delay):
            before = definition.delay - h
            sooner = label[before] if before in label else labels(outcome, histories, catalogue, before)
            late[h] = np.where(sooner == 0, by_then, UNKNOWN)
    first = np.full(months.size, FAR)  # the month from which a row has a label that is no fall
    fell = np.zeros(months.size, bool)
    for h, of in label.items():
        fell |= (of == 1) & matured(months, h, outcome, last)
        first = np.where((of == 0) & (first == FAR), months + h + outcome.known_after_months, first)
    first[~eligible] = FAR
    due, number = np.unique(first[first <= last], return_counts=True)
    negatives = {int(month): int(n) for month, n in zip(due, number, strict=True)}
    rows = np.flatnonzero(eligible & (fell | (chance < _limit(first, negatives, definition, origins))))
    chosen = histories.select(KEY).take(pa.array(rows))
    return Sample(
        outcome,
        chosen.set_column(0, "household_id", chosen["household_id"].cast(pa.string())),
        {h: of[rows] for h, of in label.items()},
        risks.at_risk[rows],
        (eligible if definition.learn_rows == "any_risk" else risks.at_risk)[rows],
        chance[rows],
        negatives,
        definition.negatives,
        {h: of[rows] for h, of in late.items()},
    )


def _others(outcome: OutcomeDefinition, histories: pa.Table, catalogue: Catalogue) -> Bools:
    """Who is at risk of another outcome that ends in the same fall."""
    others = [o for o in catalogue.county.outcomes.values() if o != outcome and o.fall == outcome.fall]
    found = np.zeros(histories.num_rows, bool)
    for other in others:
        found |= risk_set(other, histories, catalogue).at_risk
    return found


def _limit(
    first: Ints, negatives: dict[int, int], definition: ModelDefinition, origins: Iterable[AsOf]
) -> npt.NDArray[np.float64]:
    """For each row the largest share at any origin that may learn from it: the share only falls from origin to origin,
    so that is the one at the earliest of them."""
    months = np.array(sorted({o.month for o in origins}), np.int64)
    count = [sum(n for month, n in negatives.items() if month <= origin) for origin in months]
    shares = np.array([*(_share(definition.negatives, n) for n in count), 0.0])
    return shares[np.searchsorted(months, first)]


def _share(wanted: int | None, there: int) -> float:
    return 1.0 if wanted is None or there <= wanted else wanted / there


def with_features(
    sample: Sample, histories: pa.Table, seen: Callable[[AsOf], Seen | None] = _not_told, *, once: Once | None = None
) -> LearningRows:
    """A sample and its rows' features, from histories that hold each of them; `once`: see `LearningRows`."""
    position = pd.MultiIndex.from_arrays(_keys(histories)).get_indexer(pd.MultiIndex.from_arrays(_keys(sample.rows)))
    if (position < 0).any():
        raise ValueError(f"{int((position < 0).sum())} rows of the sample have no history")
    return LearningRows(sample, histories, position.astype(np.int64), seen, once or Once())


def _keys(table: pa.Table) -> tuple["pd.Series[str]", Ints]:
    return table["household_id"].cast(pa.string()).to_pandas(), as_of_months(table)


def households_hashed(histories: pa.Table, *, octets: int, salt: bytes = b"") -> npt.NDArray[np.uint64]:
    """A number of so many octets for each row's household that is the same in every run and order."""
    codes = household_codes(histories)
    column = histories["household_id"].combine_chunks()
    names = (column.dictionary if pa.types.is_dictionary(column.type) else column.unique()).to_pylist()
    hashed = (hashlib.blake2b(name.encode(), digest_size=octets, key=salt).digest() for name in names)
    return np.array([int.from_bytes(h) for h in hashed], np.uint64)[codes]


def chances(histories: pa.Table, *, seed: int) -> Floats:
    """A number in [0, 1) for each household and as-of: a hash of both and the seed, spread evenly."""
    month = as_of_months(histories).astype(np.uint64)
    with np.errstate(over="ignore"):
        # SplitMix64 (Steele, Lea and Flood 2014): numbers of the household's own sequence, one a month.
        z = households_hashed(histories, octets=8, salt=str(seed).encode()) + month * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53
