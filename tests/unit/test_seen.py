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
from fpml.errors import InputError
from fpml.risk import Finds, ModelDefinition, RiskModel, Seen, fit, sampled, with_features
from fpml.risk.definition import Trees
from fpml.risk.seen import CEILING, FLOOR
from fpml.seen import ANSWERS, seen
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
    asked = rows(
        ("a", "2023-01"), ("a", "2022-12"), ("a", "2023-06"), ("a", "2023-12"), ("a", "2024-01"), ("b", "2023-06")
    )
    # Horizon 1: the list of January is behind falls of February to January.
    assert told.chance(asked, 1).tolist() == [0.8, 0.3, 0.8, 0.8, 0.3, 0.3]
    assert replace(told, met={"a": month + 5}).chance(asked, 1).tolist() == [0.8, 0.3, 1.0, 1.0, 1.0, 0.3]
    assert told.digest != replace(told, lists={month: pa.array(["b"])}).digest


def test_weights_give_back_the_falls_that_nobody_saw(world) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    policy, table, fell = world
    rng = np.random.default_rng(8)
    had = rng.random(HOUSEHOLDS) < 0.3
    known = fell & (rng.random(HOUSEHOLDS) < np.where(had, 0.9, 0.4))
    income = np.concatenate([np.full(HOUSEHOLDS, 2.0), np.where(known, 0.5, 2.0)])
    told = table.set_column(table.column_names.index("income"), "income", pa.array(income))
    names = table["household_id"].slice(0, HOUSEHOLDS).combine_chunks()
    lists = {FIRST.month: names.filter(pa.array(had))}  # falls are of the month after
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


def audit_told(county: fpml.County, month: str, *, known: AsOf, finds: int) -> None:
    """An audit's answers: half met in the first month after, half in the third; so many found, who fell a month after
    the as-of; the first third of the finds on lists."""
    folder, as_of = county.workspace.audits / month, AsOf.parse(month).month
    folder.mkdir(parents=True)
    names = county.at(month)["household_id"].to_pylist()[:80]
    at = np.arange(80)
    visited = np.where(at % 2, as_of + 3, as_of + 1)
    found = at < finds
    told = pd.DataFrame({"household_id": names, "stratum": 0, "size": 320, "visited": visited, "known": known.month,
                         "found": found, "fell": np.where(found, as_of + 1, -1),
                         "listed": found & (at < finds // 3)})  # fmt: skip
    told.to_parquet(folder / ANSWERS)


def test_an_audit_tells_what_plain_loops_count_and_nothing_before_it_was_answered(
    trained: fpml.County, tmp_path: Path
) -> None:
    county = fpml.open(shutil.copytree(trained.workspace.root, tmp_path / "county"))
    last = county.as_ofs()[-1]
    month = last.shift(-5)
    assert seen(county.workspace, county.ledger, last) is None
    audit_told(county, str(month), known=last.shift(-1), finds=30)
    # All were met three months after the as-of, and it was known the month before the last.
    assert seen(county.workspace, county.ledger, last.shift(-2)) is None
    told = seen(county.workspace, county.ledger, last)
    assert told is not None
    assert told.finds == 30
    answers = pd.read_parquet(county.workspace.audits / str(month) / ANSWERS).set_index("household_id")
    entered = 0.0
    for r in county.ledger.standing(last.date, "monitored").to_pylist():
        when = 12 * r["event_date"].year + r["event_date"].month - 1
        own = answers["visited"].get(r["household_id"])
        if month.month < when <= month.month + 3 and not (own is not None and when >= own):
            entered += (answers["visited"] >= when).mean()
    assert entered
    # No list had been published: all entries are of households that none had. Each met speaks for four.
    whole = entered / 120
    assert told.unlisted == pytest.approx(np.clip((20 * entered / 80 + 5 * whole) / 25, FLOOR, CEILING))
    assert told.listed == pytest.approx(np.clip(5 * whole / 15, FLOOR, CEILING))
    assert told.chance(rows((str(answers.index[0]), str(last))), 1).tolist() == [1.0]


def test_a_new_audit_with_few_finds_does_not_silence_the_one_before(trained: fpml.County, tmp_path: Path) -> None:
    county = fpml.open(shutil.copytree(trained.workspace.root, tmp_path / "county"))
    last = county.as_ofs()[-1]
    audit_told(county, str(last.shift(-5)), known=last, finds=30)
    audit_told(county, str(last.shift(-4)), known=last, finds=3)
    told = seen(county.workspace, county.ledger, last)
    assert told is not None
    assert told.finds == 30


def test_answers_that_cannot_be_read_are_said(trained: fpml.County, tmp_path: Path) -> None:
    county = fpml.open(shutil.copytree(trained.workspace.root, tmp_path / "county"))
    folder = county.workspace.audits / "2023-01"
    folder.mkdir(parents=True)
    (folder / ANSWERS).write_bytes(b"PAR1 no longer")
    with pytest.raises(InputError, match=r"audit 2023-01.*damaged"):
        seen(county.workspace, county.ledger, county.as_ofs()[-1])
