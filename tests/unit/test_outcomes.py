"""Labels against plain loops; the embargo; who is at risk."""

from pathlib import Path

import numpy as np
import oracle
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml.catalogue import Catalogue, Condition, OutcomeDefinition, Words, load
from fpml.dates import AsOf
from fpml.outcomes import labels, matured, risk_set
from fpml.workspace import DEFAULT_POLICY

FIRST = 2020 * 12


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(DEFAULT_POLICY, Path(DEFAULT_POLICY))


def outcome(observed: str, lag: int = 0) -> OutcomeDefinition:
    return OutcomeDefinition(
        name=Words(en="x"),
        at_risk=(Condition(feature="income", at_least=1),),  # type: ignore[arg-type]
        fall=Condition(feature="income", below=1),  # type: ignore[arg-type]
        horizons=(3,),
        observed=observed,  # type: ignore[arg-type]
        known_after_months=lag,
    )


def table(incomes: dict[str, dict[int, float | None]]) -> pa.Table:
    rows = [
        {"household_id": h, "as_of": AsOf(FIRST + m).date, "income": v}
        for h, by in incomes.items()
        for m, v in by.items()
    ]
    schema = pa.schema([("household_id", pa.string()), ("as_of", pa.date32()), ("income", pa.float64())])
    return pa.Table.from_pylist(rows, schema=schema).sort_by([("as_of", "ascending"), ("household_id", "ascending")])


@settings(max_examples=150, deadline=None)
@given(
    incomes=st.dictionaries(
        st.sampled_from("abc"),
        st.dictionaries(st.integers(0, 8), st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.0])), min_size=1),
        min_size=1,
    ),
    horizon=st.integers(1, 5),
    observed=st.sampled_from(("at", "within")),
)
def test_labels_equal_the_plain_loops(
    incomes: dict[str, dict[int, float | None]], horizon: int, observed: str, catalogue: Catalogue
) -> None:
    histories = table(incomes)
    got = labels(outcome(observed), histories, catalogue, horizon)
    held = {m for by in incomes.values() for m in by}
    for label, household, day in zip(
        got, histories["household_id"].to_pylist(), histories["as_of"].to_pylist(), strict=True
    ):
        at = day.year * 12 + day.month - 1 - FIRST
        states = {m: None if v is None else v < 1 for m, v in incomes[household].items()}
        # A month in which nobody at all was watched is no as-of.
        last = at + horizon if at + horizon in held else -1
        assert label == oracle.label(states, at, horizon, observed, last)


def test_unknown_income_is_never_taken_for_not_poor(catalogue: Catalogue) -> None:
    histories = table({"a": {0: 2.0, 3: None}, "b": {0: 2.0, 3: 0.4}, "c": {0: None, 3: 0.4}})
    assert labels(outcome("at"), histories, catalogue, 3)[:3].tolist() == [-1, 1, 1]
    risks = risk_set(outcome("at"), histories, catalogue)
    assert risks.at_risk[:3].tolist() == [True, True, False]
    assert risks.state_known[:3].tolist() == [True, True, False]


def test_exactly_on_the_line_is_not_below_it(catalogue: Catalogue) -> None:
    histories = table({"a": {0: 1.0, 3: 1.0}})
    assert risk_set(outcome("at"), histories, catalogue).at_risk[0]
    assert labels(outcome("at"), histories, catalogue, 3)[0] == 0


def test_a_label_waits_for_its_horizon_and_for_the_time_until_it_is_known() -> None:
    months = np.arange(FIRST, FIRST + 12)
    usable = matured(months, 3, outcome("at", lag=2), FIRST + 8)
    assert months[usable].max() + 3 + 2 == FIRST + 8


def test_dated_threshold_is_the_one_in_force_at_each_rows_as_of(catalogue: Catalogue) -> None:
    from fpml.households import condition_holds

    condition = Condition(
        feature="income", below=[{"from": "2020-01-01", "value": 1}, {"from": "2020-03-31", "value": 3}]
    )  # type: ignore[arg-type,list-item]
    histories = table({"a": {0: 2.0, 1: 2.0, 2: 2.0, 3: 2.0}})
    held, _ = condition_holds(condition, histories, catalogue)
    assert held.tolist() == [False, False, True, True]
