"""The kernel against the oracle, and the invariants of time: what was not known by the as-of is not in the history."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import oracle
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Version

from fpml import features
from fpml.catalogue import Catalogue, Feature, Window, load
from fpml.dates import AsOf
from fpml.ledger import SCHEMA, Ledger, told_counts

POLICY = """
departments.yaml: |
  survey: {name: {en: survey}}
  hospital: {name: {en: hospital}}
indicators.yaml: |
  asked: {name: {en: asked}, department: survey, kind: event, unit: {en: x}, grain: household}
  place: {name: {en: place}, department: survey, kind: status, unit: {en: x}, grain: household}
  paid: {name: {en: paid}, department: hospital, kind: amount, decimals: 2, unit: {en: yuan}, grain: person,
         absent: zero, usual_lag_months: 1}
  cost: {name: {en: cost}, department: hospital, kind: count, unit: {en: x}, grain: person, absent: zero,
         direction: raises}
  aid: {name: {en: aid}, department: survey, kind: amount, decimals: 2, unit: {en: yuan}, grain: person, absent: zero,
        covered_by: asked}
  level: {name: {en: level}, department: survey, kind: level, unit: {en: x}, grain: household}
features.yaml: |
  near: {kind: context, of: level__last__ever, place: place, name: {en: near}, unit: {en: x}}
  change: {kind: change, of: level__last__ever, by: [level__last__12m_3m_ago], name: {en: change}, unit: {en: x}}
rules.yaml: ""
county.yaml: |
  name: {en: test}
  watched: {feature: asked__count__ever, at_least: 1}
  village: place
  visits: 3
  line: {unit: {en: yuan}, months: 12, heads: asked__count__ever, source: test, mark: assumed,
         values: {all: [{from: 1990-01-01, value: 100}]}}
  outcomes:
    fall: {name: {en: fall}, at_risk: [{feature: level__last__ever, at_least: 0}],
           fall: {feature: level__last__ever, below: 0}, horizons: [3]}
"""
REDUCTIONS = ("sum", "count", "max", "min", "mean", "last", "months_since")
WINDOWS = (Window(length=1), Window(length=3), Window(length=6, ago=2), Window(length=12, ago=3), Window(length=1200))
HOUSEHOLDS = ("a", "b", "c", "d")
START = date(2020, 1, 1)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    import yaml

    folder = tmp_path_factory.mktemp("policy")
    for name, text in yaml.safe_load(POLICY).items():
        (folder / name).write_text(text, encoding="utf-8")
    made = load(folder, Path(features.__file__).parents[1] / "policy")
    wanted = {
        f.name: f
        for indicator in ("asked", "paid", "cost", "aid", "level")
        for reduction in REDUCTIONS
        for window in WINDOWS
        for f in [Feature(indicator=indicator, reduction=reduction, window=window)]  # type: ignore[arg-type]
    }
    return replace(made, features={**made.features, **wanted})


@st.composite
def versions(draw: st.DrawFn) -> list[Version]:
    """Facts of four households over 30 months, with corrections, withdrawals, numbered and natural records."""
    out = [
        Version(h, None, "asked", None, START, START, 1) for h in draw(st.sets(st.sampled_from(HOUSEHOLDS), min_size=1))
    ]
    for h in HOUSEHOLDS:
        out.append(Version(h, None, "place", None, START, START, draw(st.integers(1, 2))))
    for i in range(draw(st.integers(0, 25))):
        indicator = draw(st.sampled_from(("asked", "paid", "cost", "aid", "level")))
        personal = indicator in ("paid", "cost", "aid")
        event = START + timedelta(days=draw(st.integers(0, 900)))
        known = event + timedelta(days=draw(st.integers(0, 120)))
        fact = Version(
            draw(st.sampled_from(HOUSEHOLDS)),
            draw(st.sampled_from(("p", "q"))) if personal else None,
            indicator,
            draw(st.sampled_from((None, f"r{i}"))),
            event,
            known,
            draw(st.integers(-500, 10**9)),
        )
        out.append(fact)
        for _ in range(draw(st.integers(0, 2))):
            known = known + timedelta(days=draw(st.integers(1, 90)))
            out.append(replace(fact, known=known, value=draw(st.one_of(st.none(), st.integers(-500, 10**9)))))
    seen: set[tuple[object, ...]] = set()
    unique = []
    for v in out:  # the ledger never holds two versions of one record known on the same day
        key = (
            (v.household, v.person, v.indicator, v.event, v.known)
            if v.record is None
            else (v.indicator, v.record, v.known)
        )
        if key not in seen:
            seen.add(key)
            unique.append(v)
    return unique


def as_table(facts: list[Version], catalogue: Catalogue) -> pa.Table:
    rows = [
        {
            "household_id": v.household,
            "person_id": v.person,
            "indicator": v.indicator,
            "record_id": v.record,
            "event_date": v.event,
            "known_date": v.known,
            "value": v.value,
            "department": catalogue.indicators[v.indicator].department,
            "delivery": "test",
        }
        for v in facts
    ]
    schema = pa.schema([f for f in SCHEMA if f.name != "shard"])
    return pa.Table.from_pylist(rows, schema=schema)


def reach_of(table: pa.Table) -> features.Reach:
    return features.Reach.of(told_counts(table))


def histories(facts: list[Version], catalogue: Catalogue, as_ofs: list[AsOf], shards: int = 1) -> pa.Table:
    table = as_table(facts, catalogue)
    reach = reach_of(table)
    parts = []
    for s in range(shards):
        mine = pa.array([hash_of(h) % shards == s for h in table["household_id"].to_pylist()])
        shard = table.filter(mine)
        parts.append(features.shard_histories(features.from_ledger(shard, catalogue), catalogue, as_ofs, reach))
    return features.with_context(pa.concat_tables(parts), catalogue)


def hash_of(household: str) -> int:
    return HOUSEHOLDS.index(household)


AS_OFS = st.lists(st.integers(0, 36), min_size=1, max_size=4, unique=True).map(
    lambda months: [AsOf(2020 * 12 + m) for m in months]
)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(facts=versions(), as_ofs=AS_OFS)
def test_every_feature_equals_the_plain_loops(facts: list[Version], as_ofs: list[AsOf], catalogue: Catalogue) -> None:
    table = histories(facts, catalogue, as_ofs)
    watched = {
        (h, a.date)
        for h in HOUSEHOLDS
        for a in as_ofs
        if any(
            v.household == h and v.indicator == "asked" and v.event <= a.date for v in oracle.standing(facts, a.date)
        )
    }
    rows = list(zip(table["household_id"].to_pylist(), table["as_of"].to_pylist(), strict=True))
    assert set(rows) == watched
    assert len(rows) == len(watched)
    for name, f in catalogue.features.items():
        column = table[name].to_pylist()
        for (household, as_of), got in zip(rows, column, strict=True):
            assert got == oracle.feature(facts, household, as_of, f, dict(catalogue.indicators)), (name, as_of)


@FEW
@given(facts=versions(), as_ofs=AS_OFS)
def test_context_is_the_mean_of_the_other_households_of_the_place(
    facts: list[Version], as_ofs: list[AsOf], catalogue: Catalogue
) -> None:
    table = histories(facts, catalogue, as_ofs)
    for as_of in {*table["as_of"].to_pylist()}:
        now = table.filter(pa.array([d == as_of for d in table["as_of"].to_pylist()]))
        level, place = now["level__last__ever"].to_pylist(), now["place__last__ever"].to_pylist()
        for row, got in enumerate(now["near"].to_pylist()):
            want = oracle.village_mean(level, place, row)
            assert got == (want if want is None else pytest.approx(want, rel=1e-9, abs=1e-6))


@FEW
@given(facts=versions(), as_ofs=AS_OFS, late=versions(), days=st.integers(1, 400))
def test_nothing_known_later_changes_a_history(
    facts: list[Version], as_ofs: list[AsOf], late: list[Version], days: int, catalogue: Catalogue
) -> None:
    as_of = max(as_ofs)
    later = [
        replace(v, known=as_of.date + timedelta(days=days + i), record=v.record and "x" + v.record)
        for i, v in enumerate(late)
    ]
    before = histories(facts, catalogue, as_ofs)
    assert histories(facts + later, catalogue, as_ofs).equals(before)


@FEW
@given(facts=versions(), as_ofs=AS_OFS)
def test_many_as_ofs_at_once_equal_one_at_a_time(
    facts: list[Version], as_ofs: list[AsOf], catalogue: Catalogue
) -> None:
    together = histories(facts, catalogue, as_ofs)
    singly = pa.concat_tables([histories(facts, catalogue, [a]) for a in sorted(as_ofs)])
    assert together.equals(singly.combine_chunks())


@FEW
@given(facts=versions(), as_ofs=AS_OFS, order=st.randoms(use_true_random=False), shards=st.integers(2, 4))
def test_order_of_rows_and_number_of_shards_change_nothing(
    facts: list[Version], as_ofs: list[AsOf], order: "np.random.Generator", shards: int, catalogue: Catalogue
) -> None:
    shuffled = list(facts)
    order.shuffle(shuffled)
    assert histories(shuffled, catalogue, as_ofs, shards).equals(histories(facts, catalogue, as_ofs))


@settings(max_examples=10, deadline=None)
@given(facts=versions())
def test_the_ledger_gives_back_what_it_was_given(
    facts: list[Version], tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    table = as_table(facts, catalogue)
    ledger = Ledger(folder / "t", shards=3)
    assert ledger.append(table, "one")
    assert not ledger.append(table, "one")
    back = pa.concat_tables([ledger.shard(s) for s in range(ledger.shards)], promote_options="permissive")

    names = ("household_id", "person_id", "indicator", "record_id", "event_date", "known_date")

    def rows(t: pa.Table) -> list[dict[str, object]]:
        told = t.select(table.column_names).cast(table.schema)
        return sorted(told.to_pylist(), key=lambda row: tuple(str(row[n]) for n in names))

    assert rows(back) == rows(table)
