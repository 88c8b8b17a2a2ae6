"""Falls in the register, weighted by the chance that such falls are seen; what audits tell of that chance."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.special import expit

import fpml
from fpml.dates import AsOf
from fpml.risk import Finds, ModelDefinition, RiskModel, Seen, fit, sampled, with_features
from fpml.risk.definition import Trees
from fpml.risk.seen import CEILING, FLOOR
from fpml.seen import FINDS, MET, seen
from tests.unit.test_learning import FEATURE, FIRST, HOUSEHOLDS, THEN, world  # noqa: F401

ALIKE = np.ones(40)


def rows(*of: tuple[str, str]) -> pa.Table:
    """Rows of a household at an as-of."""
    days = [AsOf.parse(m).date for _, m in of]
    return pa.table({"household_id": [h for h, _ in of], "as_of": pa.array(days, pa.date32())})


def test_ratios_are_what_plain_loops_count_and_few_finds_lean_on_all() -> None:
    listed = np.arange(40) < 10
    told = Seen.of(Finds(ALIKE, listed, (9, 12)), {})
    assert told is not None
    whole = 21 / 40
    assert told.listed == pytest.approx((10 * 9 / 10 + 5 * whole) / 15)
    assert told.unlisted == pytest.approx((30 * 12 / 30 + 5 * whole) / 35)
    heavy = Seen.of(Finds(np.where(listed, 3.0, 1.0), listed, (9, 12)), {})
    assert heavy is not None
    assert heavy.listed == pytest.approx((10 * 9 / 30 + 5 * 21 / 60) / 15)


def test_no_entry_stands_for_more_than_ten_falls_and_few_finds_tell_none() -> None:
    nobody = np.zeros(40, bool)
    told = Seen.of(Finds(ALIKE, nobody, (0, 1)), {})
    assert told is not None
    assert told.unlisted == FLOOR
    assert Seen.of(Finds(ALIKE[:9], nobody[:9], (0, 1)), {}) is None


def test_a_list_counts_for_twelve_months() -> None:
    month = AsOf.parse("2023-01").month
    told = Seen(0.8, 0.3, 20, {month: pa.array(["a"])})
    asked = rows(("a", "2022-12"), ("a", "2022-11"), ("a", "2023-06"), ("a", "2023-12"), ("b", "2023-06"))
    # Horizon 1: the list of January is behind falls of January to December.
    assert told.chance(asked, 1).tolist() == [0.8, 0.3, 0.8, 0.3, 0.3]
    assert told.digest != replace(told, lists={month: pa.array(["b"])}).digest


def test_weights_give_back_the_falls_that_nobody_saw(world) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    policy, table, fell = world
    rng = np.random.default_rng(8)
    had = rng.random(HOUSEHOLDS) < 0.3
    known = fell & (rng.random(HOUSEHOLDS) < np.where(had, 0.9, 0.4))
    income = np.concatenate([np.full(HOUSEHOLDS, 2.0), np.where(known, 0.5, 2.0)])
    told = table.set_column(table.column_names.index("income"), "income", pa.array(income))
    names = table["household_id"].slice(0, HOUSEHOLDS).combine_chunks()
    lists = {FIRST.month: names.filter(pa.array(had))}
    everyone = Seen(0.9, 0.4, 500, lists)

    def model(audited: bool) -> RiskModel:
        trees = Trees(learning_rate=0.1, num_leaves=7, min_data_in_leaf=40, feature_fraction=1, bagging_fraction=1,
                      lambda_l2=1, rounds=300, patience=20)  # fmt: skip
        others = tuple(n for n in policy.model_features() if n != FEATURE)
        asked = ModelDefinition(outcome="fall", learn_horizons=(1,), folds=2, seed=1, trees=trees, negatives=8000,
                                audited=audited, leave_out=others)  # fmt: skip
        sample = sampled(asked, told, policy, origins=[THEN])
        return fit(asked, with_features(sample, told, lambda _: everyone), policy, origin=THEN)

    x = table[FEATURE].slice(0, HOUSEHOLDS).to_numpy().astype(np.float32).reshape(-1, 1)
    alike, weighted = model(False), model(True)
    assert alike.probability(x, 1).sum() / fell.sum() == pytest.approx(known.sum() / fell.sum(), abs=0.06)
    assert weighted.probability(x, 1).sum() / fell.sum() == pytest.approx(1, abs=0.06)
    # Raw log-odds too: they are what reasons explain.
    assert expit(weighted.raw(x, 1)).sum() / fell.sum() == pytest.approx(1, abs=0.12)
    assert weighted.learnt.seen == (0.9, 0.4)
    assert weighted.learnt.effective is not None
    assert 0 < weighted.learnt.effective < known.sum()
    assert alike.learnt.seen is None


def audit_told(county: fpml.County, month: str, visited: AsOf, finds: int) -> None:
    """An audit's answers: so many finds, who fell two months before, the first third of them on lists."""
    folder = county.workspace.audits / month
    folder.mkdir(parents=True)
    names = county.at(month)["household_id"].to_pylist()[:finds]
    met = pd.DataFrame({"household_id": names, "visited": visited.month})
    met.to_parquet(folder / MET)
    listed = np.arange(finds) < finds // 3
    met.assign(fell=visited.month - 2, weight=4.0, listed=listed).to_parquet(folder / FINDS)


def test_an_audit_tells_nothing_before_it_was_answered(trained: fpml.County, tmp_path: Path) -> None:
    county = fpml.open(shutil.copytree(trained.workspace.root, tmp_path / "county"))
    last = county.as_ofs()[-1]
    assert seen(county.workspace, county.ledger, last) is None
    audit_told(county, str(last.shift(-3)), last.shift(-1), 30)
    assert seen(county.workspace, county.ledger, last.shift(-2)) is None
    told = seen(county.workspace, county.ledger, last)
    assert told is not None
    assert told.finds == 30
    met = set(county.at(last.shift(-3))["household_id"].to_pylist()[:30])
    entered = 0
    for r in county.ledger.standing(last.date, "monitored").to_pylist():
        month = 12 * r["event_date"].year + r["event_date"].month - 1
        later = r["household_id"] in met and month >= last.month - 1
        entered += last.month - 13 < month <= last.month - 1 and not later
    assert entered
    # No list had been published: all entries are of households that none had.
    whole = entered / 120
    assert told.unlisted == pytest.approx(np.clip((20 * entered / 80 + 5 * whole) / 25, FLOOR, CEILING))
    assert told.listed == pytest.approx(np.clip(5 * whole / 15, FLOOR, CEILING))
