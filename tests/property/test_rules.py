"""What holds of every rule of the default profile, whatever a household's values: see `fpml.rules`."""

from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpml.catalogue import Catalogue, Condition, Every, Rule, load
from fpml.catalogue.conditions import Table
from fpml.dates import AsOf
from fpml.households import in_force
from fpml.rules import evidence, hits
from fpml.workspace import DEFAULT_POLICY

CATALOGUE = load(DEFAULT_POLICY, DEFAULT_POLICY)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
GROUPS = [c for g in CATALOGUE.county.cohort.values() for c in g.all]
MONTHS = [AsOf.parse(f"{y}-{m:02d}").date for y in range(2020, 2025) for m in (1, 6, 12)]


def figures(name: str) -> list[float]:
    """Values of a feature at, beside and far from every threshold that some rule holds it against."""
    found = {0.0}
    for rule in CATALOGUE.rules.values():
        for _, c in rule.each():
            if c.feature == name:
                leaves = c.threshold.leaves() if isinstance(c.threshold, Table) else [c.threshold]
                for leaf in leaves:
                    found |= {float(v) for v in ([leaf] if isinstance(leaf, Decimal) else [s.value for s in leaf])}
    return sorted(v + d for v in found for d in (-1, -0.01, 0, 0.01, 1, 5000))


def histories(seed: int, rows: int = 300) -> pa.Table:
    """Rows of random as-ofs and values near the thresholds, some not known."""
    rng = np.random.default_rng(seed)
    names = {c.feature for r in CATALOGUE.rules.values() for _, c in r.each()} | {c.feature for c in GROUPS}
    columns: dict[str, pa.Array] = {"as_of": pa.array(rng.choice(np.array(MONTHS, "datetime64[D]"), rows), pa.date32())}
    for name in sorted(names):
        values = rng.choice(figures(name), rows)
        if name in CATALOGUE.features:
            stored = np.rint(values * 10 ** CATALOGUE.decimals(name)).astype(np.int64)
            columns[name] = pa.array(stored, mask=rng.random(rows) < 0.1)
        else:
            columns[name] = pa.array(values, mask=rng.random(rows) < 0.1)
    return pa.table(columns)


def changed(condition: Condition, day: date, value: int) -> Condition:
    """The condition with every threshold changed from a day on."""

    def of(threshold: object) -> object:
        if isinstance(threshold, Table):
            return {k: of(v) for k, v in threshold.root.items()}
        steps = [{"from": date(1900, 1, 1), "value": threshold}] if isinstance(threshold, Decimal) else [
            s.model_dump(by_alias=True) for s in threshold if s.from_ < day  # type: ignore[attr-defined]
        ]  # fmt: skip
        return [*steps, {"from": day, "value": value}]

    return Condition(**{"feature": condition.feature, condition.comparison: of(condition.threshold)})


def with_rule(name: str, rule: Rule) -> Catalogue:
    return Catalogue(**{**vars(CATALOGUE), "rules": {name: rule}})


@pytest.mark.parametrize("name", CATALOGUE.rules)
@FEW
@given(seed=st.integers(0, 10**6), day=st.sampled_from(MONTHS), value=st.integers(-10, 30_000))
def test_a_threshold_changed_from_a_day_on_changes_no_hit_before(name: str, seed: int, day: date, value: int) -> None:
    rule, table = CATALOGUE.rules[name], histories(seed)
    either = tuple(
        Every(all=tuple(changed(c, day, value) for c in e.all)) if isinstance(e, Every) else changed(e, day, value)
        for e in rule.any
    )
    after = rule.model_copy(update={"all": tuple(changed(c, day, value) for c in rule.all), "any": either})
    before = table["as_of"].to_numpy() < np.datetime64(day)
    was, now = (hits(table, with_rule(name, r))[name] for r in (rule, after))
    assert (was[before] == now[before]).all()


@pytest.mark.parametrize("name", CATALOGUE.rules)
@FEW
@given(seed=st.integers(0, 10**6), by=st.integers(1, 10**6))
def test_a_graver_value_never_takes_a_hit_back(name: str, seed: int, by: int) -> None:
    table = histories(seed)
    was = hits(table, with_rule(name, CATALOGUE.rules[name]))[name]
    for _, c in CATALOGUE.rules[name].each():
        at = table.column_names.index(c.feature)
        values = table[c.feature].combine_chunks()
        worse = pa.compute.add(values, by if c.comparison in ("at_least", "above") else -by)
        graver = table.set_column(at, c.feature, worse)
        now = hits(graver, with_rule(name, CATALOGUE.rules[name]))[name]
        assert (now | ~was).all()


@FEW
@given(seed=st.integers(0, 10**6))
def test_the_evidence_of_every_hit_holds_by_itself(seed: int) -> None:
    table = histories(seed, rows=60)
    test = {
        "at_least": lambda v, t: v >= t, "above": lambda v, t: v > t,
        "at_most": lambda v, t: v <= t, "below": lambda v, t: v < t,
    }  # fmt: skip
    for name, held in hits(table, CATALOGUE).items():
        for row in np.flatnonzero(held):
            told = evidence(CATALOGUE.rules[name], table, int(row), CATALOGUE)
            assert told
            for e in told:
                assert test[e.comparison](e.value, e.threshold), (name, e)
                assert e.in_force.since is None or e.in_force.since <= table["as_of"][int(row)].as_py()


def test_a_rule_hits_nobody_before_it_was_in_force() -> None:
    table = histories(3, rows=2000)
    year = table["as_of"].to_numpy().astype("datetime64[Y]").astype(int) + 1970
    held = hits(table, CATALOGUE)["self_paid_to_rural_income"]
    assert held[year >= 2021].any()
    assert not held[year < 2021].any()


def test_a_table_by_region_holds_tables_by_household_type(catalogue: Catalogue) -> None:
    line = catalogue.county.line.model_copy(update={"region": "region"})
    placed = Catalogue(**{**vars(catalogue), "county": catalogue.county.model_copy(update={"line": line})})
    of_region = {
        "360121": {"formerly_poor": 1, "others": 2},
        "360122": [{"from": "2023-01-01", "value": 3}],
        "others": 4,
    }
    condition = Condition(feature="x", at_least=of_region)  # type: ignore[arg-type]
    table = pa.table(
        {
            "as_of": pa.array([date(2023, 6, 30)] * 6, pa.date32()),
            "region__last__ever": [360121, 360121, 360121, 360122, 360123, None],
            "formerly_poor__last__ever": [1, 0, None, 1, 1, 1],
            "monitored__holding__ever": [0, 0, 0, 0, 0, 0],
        }
    )
    told: dict[int, tuple[int, str | None, str | None]] = {}
    for rows, t in in_force(condition, table, placed):
        told |= {int(r): (int(t.value), t.region, t.household_type) for r in np.flatnonzero(rows)}
    assert [told[r] for r in range(6)] == [
        (1, "360121", "formerly_poor"), (2, "360121", "others"), (2, "360121", "others"),
        (3, "360122", None), (4, "others", None), (4, "others", None),
    ]  # fmt: skip
