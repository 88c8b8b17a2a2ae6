"""Leakage, told from outside: what becomes known after an as-of may change its labels, and nothing else.

Each check takes `build`, by which histories are made, so that a planted leak can be put in its place: a check that
passes a planted leak is worth nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import Reach, as_of_months, from_ledger, matrix, natural, shard_histories, with_context
from fpml.measure.baselines import plain_lightgbm
from fpml.measure.metrics import Interval, auc, interval
from fpml.outcomes import labels, matured, risk_set
from fpml.risk import RiskModel

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
    told = records.group_by(["department", "known_date"]).aggregate([("event_date", "min")])
    reach = Reach.of(told.rename_columns(["department", "known_date", "event_date"]))
    return with_context(shard_histories(from_ledger(records, catalogue), catalogue, as_ofs, reach), catalogue)


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


def swapped_after(records: pa.Table, as_of: AsOf, *, seed: int) -> pa.Table:
    """Ledger records in which random pairs of households have exchanged everything known after the as-of."""
    encoded = records["household_id"].combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    codes, names = pd.factorize(encoded.to_pandas().astype(str), sort=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    half = len(names) // 2
    partner = np.arange(len(names))
    partner[shuffled[:half]], partner[shuffled[half : 2 * half]] = shuffled[half : 2 * half], shuffled[:half]
    later = pc.greater(records["known_date"], pa.scalar(as_of.date, pa.date32())).to_numpy()
    household = pa.DictionaryArray.from_arrays(
        pa.array(np.where(later, partner[codes], codes), pa.int32()), pa.array(names, pa.string())
    )
    return records.set_column(records.column_names.index("household_id"), "household_id", household)


def check_swap(
    records: pa.Table, catalogue: Catalogue, model: RiskModel, as_of: AsOf, *, seed: int, build: Build = built
) -> Verdict:
    """Swaps the futures: histories at the as-of must stay bit-equal, and scores must not tell the swapped outcomes."""
    horizon = min(model.calibrations)
    outcome = catalogue.county.outcomes[model.outcome]
    steps = [as_of.shift(m) for m in range(1, horizon + 1)]
    later = [a for a in steps if a.month % 12 + 1 in catalogue.county.as_of_months]
    before = build(records, catalogue, [as_of])
    swapped = swapped_after(records, as_of, seed=seed)
    # Only the as-of's own history is built by `build`: labels come from the honest builder.
    honest = built(swapped, catalogue, [as_of, *later])
    after = build(swapped, catalogue, [as_of])
    label = labels(outcome, honest, catalogue, horizon)
    told = pd.Series(label, index=pd.MultiIndex.from_arrays([honest["household_id"].to_pandas(), as_of_months(honest)]))
    keys = pd.MultiIndex.from_arrays([after["household_id"].to_pandas(), as_of_months(after)])
    y = told.reindex(keys, fill_value=-1).to_numpy(np.int64)
    rows = np.flatnonzero(risk_set(outcome, after, catalogue).at_risk & (y >= 0))
    score = model.raw(matrix(after, model.features, catalogue, rows=rows), horizon)
    village = np.nan_to_num(natural(after, f"{catalogue.county.village}__last__ever", catalogue))[rows].astype(np.int64)
    skill = interval(lambda r: auc(y[rows][r], score[r]), village, times=300, seed=seed)
    return Verdict("futures swapped between households", before.equals(after), skill)


def check_late_records(
    records: pa.Table, catalogue: Catalogue, as_of: AsOf, *, seed: int, build: Build = built
) -> Verdict:
    """Appends a correction to every tenth record, known after the as-of: no history at the as-of may change."""
    rng = np.random.default_rng(seed)
    chosen = records.take(pa.array(np.flatnonzero(rng.random(records.num_rows) < 0.1)))
    after = np.datetime64(as_of.date) + rng.integers(1, 60, chosen.num_rows)
    known = np.maximum(after, chosen["known_date"].to_numpy().astype("datetime64[D]") + np.timedelta64(1, "D"))
    late = chosen.set_column(chosen.column_names.index("known_date"), "known_date", pa.array(known, pa.date32()))
    changed = pc.add(pc.fill_null(late["value"], 0), pa.array(rng.integers(1, 1000, late.num_rows)))
    late = late.set_column(late.column_names.index("value"), "value", changed)
    more = pa.concat_tables([records, late], promote_options="permissive")
    same = build(records, catalogue, [as_of]).equals(build(more, catalogue, [as_of]))
    return Verdict("corrections known later", same, None)


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
    """Learns from shuffled labels: what is scored at the origin must be told at chance.

    `overlap` plants the leak: the rows scored are put among the rows learnt from, with their true labels.
    """
    outcome = catalogue.county.outcomes[outcome_name]
    months = as_of_months(histories)
    at_risk = risk_set(outcome, histories, catalogue).at_risk
    label = labels(outcome, histories, catalogue, horizon).astype(np.int64)
    past = np.flatnonzero(at_risk & (label >= 0) & matured(months, horizon, outcome, origin.month))
    now = np.flatnonzero(at_risk & (label >= 0) & (months == origin.month))
    names = catalogue.model_features()
    y = np.random.default_rng(seed).permutation(label[past])
    x, at = (matrix(histories, names, catalogue, rows=rows) for rows in (past, now))
    if overlap:
        x, y = np.concatenate([x, at]), np.concatenate([y, label[now]])
    score = plain_lightgbm(x, y, at, seed=seed)
    village = np.nan_to_num(natural(histories, f"{catalogue.county.village}__last__ever", catalogue))[now]
    skill = interval(lambda r: auc(label[now][r], score[r]), village.astype(np.int64), times=300, seed=seed)
    return Verdict("training labels shuffled", None, skill)
