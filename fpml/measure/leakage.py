"""Leakage, told from outside: what becomes known after an as-of may change its labels, and nothing else.

Each check takes `build`, by which histories are made, so that a planted leak can be put in its place: a check that
passes a planted leak is worth nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import t as student_t
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import Asked, as_of_months, histories, matrix
from fpml.ledger import coded, fact_keys, words_of
from fpml.measure.metrics import Floats, Interval, Ints, auc
from fpml.outcomes import labels, matured, risk_set
from fpml.risk import RiskModel
from fpml.risk.shown import Matrix

SHUFFLES = 12
# So many rows are learnt from in each shuffle.
TOSSED = 2000
Build = Callable[[pa.Table, Catalogue, Sequence[AsOf]], pa.Table]


@dataclass(frozen=True)
class Verdict:
    """What a check found: whether the histories at the as-of stayed bit-equal, and the AUC where 0.5 is asked for."""

    check: str
    bit_equal: bool | None
    auc: Interval | None

    @property
    def clean(self) -> bool:
        """No leak was seen."""
        chance = self.auc is None or self.auc.low <= 0.5 <= self.auc.high
        return self.bit_equal is not False and chance

    def __str__(self) -> str:
        told = [] if self.bit_equal is None else [f"histories {'bit-equal' if self.bit_equal else 'CHANGED'}"]
        told += [] if self.auc is None else [f"AUC {self.auc}"]
        return f"{self.check}: {'clean' if self.clean else 'LEAK'} ({', '.join(told)})"


def built(records: pa.Table, catalogue: Catalogue, as_ofs: Sequence[AsOf]) -> pa.Table:
    """Histories as fpml makes them, from ledger records in one table."""
    return histories(lambda _shard, _columns: records, 1, catalogue, Asked(tuple(as_ofs)))


def built_with_a_leak(months: int) -> Build:
    """Histories in which all that no condition of policy reads comes from so many months ahead: the planted leak."""

    def build(records: pa.Table, catalogue: Catalogue, as_ofs: Sequence[AsOf]) -> pa.Table:
        honest = built(records, catalogue, as_ofs)
        ahead = built(records, catalogue, [a.shift(months) for a in as_ofs])
        spared = {c.feature for o in catalogue.county.outcomes.values() for c in (*o.at_risk, o.fall)}
        spared.add(f"{catalogue.county.village}__last__ever")
        index = pd.MultiIndex.from_arrays([ahead["household_id"].to_pandas(), as_of_months(ahead) - months])
        at = index.get_indexer(pd.MultiIndex.from_arrays([honest["household_id"].to_pandas(), as_of_months(honest)]))
        later = ahead.take(pa.array(at, mask=at < 0))
        for i, name in enumerate(honest.column_names):
            if name in catalogue.names() and name not in spared:
                honest = honest.set_column(i, name, later[name])
        return honest

    return build


def partners(records: pa.Table, *, seed: int) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """The households in ascending order, and for each the position of its random partner (the odd one out: itself)."""
    names = np.sort(np.asarray(words_of(records["household_id"]).words.to_pylist(), object))
    shuffled = np.random.default_rng(seed).permutation(names.size)
    half = names.size // 2
    partner = np.arange(names.size)
    partner[shuffled[:half]], partner[shuffled[half : 2 * half]] = shuffled[half : 2 * half], shuffled[:half]
    return names, partner


def swapped_after(records: pa.Table, as_of: AsOf, *, seed: int) -> pa.Table:
    """Ledger records in which random pairs of households have exchanged everything known after the as-of."""
    names, partner = partners(records, seed=seed)
    household = coded(records["household_id"], pa.array(names, pa.string()))
    later = pc.greater(records["known_date"], pa.scalar(as_of.date, pa.date32())).to_numpy()
    codes = pa.array(np.where(later, partner[household], household), pa.int32())
    swapped = pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()))
    records = records.set_column(records.column_names.index("household_id"), "household_id", swapped)
    return records.set_column(records.column_names.index("fact"), "fact", pa.array(fact_keys(records)))


def check_swap(
    records: pa.Table, catalogue: Catalogue, model: RiskModel, as_of: AsOf, *, seed: int, build: Build = built
) -> Verdict:
    """Swaps the futures: histories at the as-of must stay bit-equal, and scores must not tell the swapped outcomes.

    A household's swapped outcome is its partner's own. It is not read from the swapped ledger: where the state is told
    over twelve months, most of what decides it three months on is known at the as-of, and rightly stays.
    """
    outcome = catalogue.county.outcomes[model.outcome]
    horizon = catalogue.county.ranking(model.outcome)
    before = build(records, catalogue, [as_of])
    after = build(swapped_after(records, as_of, seed=seed), catalogue, [as_of])
    own = _outcomes(records, catalogue, model.outcome, horizon, as_of)
    at_risk = risk_set(outcome, after, catalogue).at_risk
    score = model.raw(matrix(after, model.features, catalogue), horizon)
    told = []
    for each in range(SHUFFLES):  # few fall: who is whose partner decides much
        names, partner = partners(records, seed=seed + each)
        swapped = own.reindex(names[partner]).set_axis(names)
        label = swapped.reindex(after["household_id"].to_pandas()).fillna(-1).to_numpy(np.int64)
        rows = at_risk & (label >= 0)
        told.append(auc(np.asarray(label[rows], np.int64), score[rows]))
    return Verdict("futures swapped between households", before.equals(after), _mean(told))


def _linear(x: Matrix, y: Ints, at: Matrix) -> Floats:
    """What ridge regression learns of labels: as able to remember a row as any, and soon done."""
    told = np.flatnonzero(~np.isnan(x).all(axis=0))
    lowest, highest = np.nanquantile(x[:, told], [0.002, 0.998], axis=0)
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), Ridge(alpha=100.0))
    model.fit(np.clip(x[:, told], lowest, highest), y)
    return np.asarray(model.predict(np.clip(at[:, told], lowest, highest)), np.float64)


def _mean(told: Sequence[float]) -> Interval:
    """The mean over shuffles, by Student's t."""
    half = float(student_t.ppf(0.975, len(told) - 1) * np.std(told, ddof=1) / np.sqrt(len(told)))
    mean = float(np.mean(told))
    return Interval(mean, mean - half, mean + half)


def _outcomes(records: pa.Table, catalogue: Catalogue, name: str, horizon: int, as_of: AsOf) -> "pd.Series[int]":
    """The label of every household at risk at the as-of, by household; -1 where it is not known."""
    later = [as_of.shift(m) for m in range(1, horizon + 1)]
    as_ofs = [as_of, *(a for a in later if a.month % 12 + 1 in catalogue.county.as_of_months)]
    histories = built(records, catalogue, as_ofs)
    outcome = catalogue.county.outcomes[name]
    label = labels(outcome, histories, catalogue, horizon)
    rows = np.flatnonzero(risk_set(outcome, histories, catalogue).at_risk & (as_of_months(histories) == as_of.month))
    return pd.Series(label[rows], index=pd.Index(histories["household_id"].to_pandas().iloc[rows]))


def check_late_records(
    records: pa.Table, catalogue: Catalogue, as_of: AsOf, *, seed: int, build: Build = built
) -> Verdict:
    """Appends a correction of every tenth record and an older fact beside it: known later, they change no history."""
    rng = np.random.default_rng(seed)
    chosen = records.take(pa.array(np.flatnonzero(rng.random(records.num_rows) < 0.1)))
    after = np.datetime64(as_of.date) + rng.integers(1, 60, chosen.num_rows)
    known = np.maximum(after, chosen["known_date"].to_numpy().astype("datetime64[D]") + np.timedelta64(1, "D"))
    late = chosen.set_column(chosen.column_names.index("known_date"), "known_date", pa.array(known, pa.date32()))
    changed = pc.add(pc.fill_null(late["value"], 0), pa.array(rng.integers(1, 1000, late.num_rows)))
    late = late.set_column(late.column_names.index("value"), "value", changed)
    older = pc.subtract(late["event_date"].cast(pa.int32()), pa.scalar(400, pa.int32())).cast(pa.date32())
    new = late.set_column(late.column_names.index("event_date"), "event_date", older)
    more = pa.concat_tables([records, late, new], promote_options="permissive")
    same = build(records, catalogue, [as_of]).equals(build(more, catalogue, [as_of]))
    return Verdict("corrections and old facts known later", same, None)


def check_shuffled_labels(
    histories: pa.Table,
    catalogue: Catalogue,
    outcome_name: str,
    horizon: int,
    origin: AsOf,
    *,
    seed: int,
    overlap: bool,
) -> Verdict:
    """Learns from labels tossed with a coin: what is scored at the origin must be told at chance.

    `overlap` plants the leak: the rows scored are put among the rows learnt from, with their true labels.
    """
    outcome = catalogue.county.outcomes[outcome_name]
    months = as_of_months(histories)
    at_risk = risk_set(outcome, histories, catalogue).at_risk
    label = labels(outcome, histories, catalogue, horizon).astype(np.int64)
    past = np.flatnonzero(at_risk & (label >= 0) & matured(months, horizon, outcome, origin.month))
    now = np.flatnonzero(at_risk & (label >= 0) & (months == origin.month))
    names = catalogue.model_features()
    x, at = (matrix(histories, names, catalogue, rows=rows) for rows in (past, now))
    told = []
    # One shuffle may lean either way by chance: what is asked is whether many do so on the whole. Coins, not the labels
    # in another order: of rare events a sparse corner gets none, whoever is shuffled, and falls lie in sparse corners.
    for each in range(SHUFFLES):
        rng = np.random.default_rng(seed + each)
        some = rng.permutation(past.size)[:TOSSED]
        y, shown = rng.integers(0, 2, some.size), x[some]
        if overlap:
            y, shown = np.concatenate([y, label[now]]), np.concatenate([shown, at])
        told.append(auc(label[now], _linear(shown, y, at)))
    return Verdict("training labels shuffled", None, _mean(told))
