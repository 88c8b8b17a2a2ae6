"""The audit: planned, drawn, told; a county of invented households, and plain loops to count after it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fpml
from fpml.audits import Audit, ground, plan
from fpml.cli import main
from fpml.errors import InputError, NotYetError, UsageError
from fpml.lists import keep_listed
from fpml.measure.audit import Answers, Stratum, by_formula, costs, drawn, estimated, if_they_err

STRATA = [Stratum("noticed", 400, 0.2, 0.6), Stratum("not noticed", 40_000, 0.002, 0.4)]
AS_OF = "2023-06"


def answers(stratum: list[int], **said: list[int]) -> Answers:
    """An audit's answers; what is not said is no, but for those met, who are all."""
    n = len(stratum)
    columns = {c: np.array(said.get(c, [0] * n), bool) for c in ("answered", "found", "checked", "confirmed", "listed")}
    columns["answered"] |= "answered" not in said
    return Answers(np.array(stratum), **columns)


def audited(rng: np.random.Generator, *, specificity: float = 1.0) -> tuple[Answers, list[Stratum], int, int]:
    """A county drawn anew, its audit by the plan, and its listed and unlisted falls."""
    size = np.array([s.households for s in STRATA])
    stratum = np.repeat([0, 1], size)
    fell = rng.random(stratum.size) < np.array([s.fallen for s in STRATA])[stratum]
    listed = fell & (rng.random(stratum.size) < np.array([s.listed for s in STRATA])[stratum])
    visits = (200, 4_000)
    rows = np.concatenate([rng.choice(np.flatnonzero(stratum == h), visits[h], replace=False) for h in (0, 1)])
    found = fell[rows] | (rng.random(rows.size) > specificity)
    told = Answers(stratum[rows], np.ones(rows.size, bool), found, found, found & fell[rows], listed[rows])
    return told, STRATA, int(listed.sum()), int((fell & ~listed).sum())


# The plan


def test_narrower_costs_more_and_nobody_is_asked_twice() -> None:
    table = costs(STRATA, (0.25, 0.20, 0.15))
    assert table["visits"].is_monotonic_increasing
    assert table["visits"].is_unique
    for width in (0.25, 0.15):
        told = plan(STRATA, width)
        assert all(n <= s.households for n, s in zip(told.visits, told.strata, strict=True))
        assert told.half_width <= width * 1.02


def test_visits_go_where_most_is_to_be_learnt_with_a_floor_in_every_stratum() -> None:
    strata = [*STRATA, Stratum("thought to hold nobody", 5_000, 0.0, 0.5), Stratum("tiny", 20, 0.5, 0.5)]
    told = plan(strata, 0.15)
    chance = told.table()["probability"].tolist()
    assert chance[0] > chance[1]
    assert told.visits[2] == 60
    assert told.visits[3] == 20


def test_the_formula_for_large_samples_gives_the_published_visits() -> None:
    """One stratum: 1.02 % below the line now or in the last year, recall .5, ten points: some 9,000 visits a year."""
    assert 8_500 < by_formula([Stratum("all", 220_000, 0.0102, 0.5)], 0.10).sum() < 9_500


def test_few_expected_finds_are_told_before_anybody_walks() -> None:
    assert plan([Stratum("all", 500, 0.01, 0.5)], 0.5).bound_alone
    assert not plan(STRATA, 0.15).bound_alone


@pytest.mark.parametrize("width", [0.0, 1.0, -0.1])
def test_a_width_that_is_none_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="half width"):
        plan(STRATA, width)
    with pytest.raises(ValueError, match="no stratum"):
        plan([Stratum("all", 100, 0.0, 0.5)], 0.1)


# The draw


def test_the_same_seed_draws_the_same_households_in_whatever_order_they_come() -> None:
    names = [f"H{i:04d}" for i in range(900)]
    stratum = np.array([i % 3 for i in range(900)])
    there = drawn(names, stratum, (24, 60, 300), seed=5)
    order = np.random.default_rng(0).permutation(900)
    again = drawn([names[i] for i in order], stratum[order], (24, 60, 300), seed=5)
    pd.testing.assert_frame_equal(there, again)
    assert not drawn(names, stratum, (24, 60, 300), seed=6).equals(there)
    assert not there["household_id"].duplicated().any()
    assert there.groupby("stratum")["household_id"].size().tolist() == [24, 60, 300]
    assert there.groupby("stratum")["probability"].first().tolist() == [24 / 300, 60 / 300, 1.0]
    for _, of_it in there.groupby("stratum"):
        assert of_it.groupby("month").size().tolist() == [len(of_it) / 12] * 12


def test_every_household_of_a_stratum_is_as_likely_to_be_drawn() -> None:
    names, stratum = [f"H{i}" for i in range(30)], np.zeros(30, np.int64)
    times = pd.Series(0, index=names)
    for seed in range(600):
        times[drawn(names, stratum, (10,), seed=seed)["household_id"]] += 1
    assert times.between(140, 260).all()  # 200 expected, standard deviation 11.5


# The estimate


def test_the_estimate_is_what_plain_loops_count() -> None:
    told, strata, _, _ = audited(np.random.default_rng(1), specificity=0.99)
    met = [sum(1 for h in told.stratum if h == n) for n in (0, 1)]
    listed = missed = 0.0
    for h, hit, before in zip(told.stratum, told.confirmed & told.found, told.listed, strict=True):
        weight = strata[h].households / met[h]
        listed += weight * bool(hit and before)
        missed += weight * bool(hit and not before)
    estimate = estimated(told, strata)
    assert estimate.recall.estimate == pytest.approx(listed / (listed + missed))
    assert estimate.missed.estimate == pytest.approx(missed)
    assert estimate.falls.estimate == pytest.approx(listed + missed)
    assert estimate.missed.low < missed < estimate.upper < estimate.missed.high


def test_intervals_hold_the_county_s_own_recall_and_its_missed() -> None:
    held = {"recall": 0, "missed": 0, "upper": 0}
    for seed in range(200):
        told, strata, listed, missed = audited(np.random.default_rng([9, seed]))
        estimate = estimated(told, strata)
        held["recall"] += estimate.recall.low <= listed / (listed + missed) <= estimate.recall.high
        held["missed"] += estimate.missed.low <= missed <= estimate.missed.high
        held["upper"] += missed <= estimate.upper
    assert min(held.values()) >= 182, held  # of 200: 95 % less two and a half standard errors


def test_finds_that_the_county_does_not_confirm_do_not_count() -> None:
    """With specificity .98 most finds are false: visitors' word alone would tell a recall that is far too low."""
    told, strata, listed, missed = audited(np.random.default_rng(3), specificity=0.98)
    word = Answers(told.stratum, told.answered, told.found, told.checked, told.found, told.listed)
    truth = listed / (listed + missed)
    assert abs(estimated(told, strata).recall.estimate - truth) < 0.15
    assert estimated(word, strata).recall.estimate < truth / 2


def test_below_ten_finds_only_the_bound_is_told() -> None:
    nine = answers([1] * 300, found=[1] * 9 + [0] * 291, checked=[1] * 9 + [0] * 291, confirmed=[1] * 9 + [0] * 291)
    told = estimated(nine, STRATA)
    assert np.isnan(told.recall.estimate)
    assert told.upper > told.missed.estimate > 0
    nobody = estimated(answers([0, 1] * 100), STRATA)
    assert nobody.finds == 0
    assert nobody.missed.estimate == 0
    assert nobody.upper > 0


def test_who_was_not_met_is_as_the_others_of_the_stratum() -> None:
    half = answers([1] * 400, answered=[1, 0] * 200, found=[1, 0] * 10 + [0] * 380, checked=[1, 0] * 10 + [0] * 380,
                   confirmed=[1, 0] * 10 + [0] * 380)  # fmt: skip
    told = estimated(half, STRATA)
    assert told.answered == 0.5
    assert told.missed.estimate == pytest.approx(10 * 40_000 / 200)


def test_what_second_checks_find_is_told_apart() -> None:
    told = estimated(answers([1] * 100, checked=[1] * 20 + [0] * 80, confirmed=[1] + [0] * 99), STRATA)
    assert told.finds == 0
    assert told.overlooked.estimate == pytest.approx(1 / 20 * 40_000)
    assert np.isnan(estimated(answers([1] * 100), STRATA).overlooked.estimate)


@pytest.mark.parametrize(
    "said",
    [
        {"answered": [0], "found": [1], "checked": [0]},
        {"found": [1]},
        {"confirmed": [1]},
        {"answered": [0], "checked": [1]},
    ],
)
def test_answers_that_contradict_each_other_are_no_answers(said: dict[str, list[int]]) -> None:
    with pytest.raises(ValueError, match="not"):
        answers([0], **said)


def test_recall_over_the_ways_in_which_they_may_err() -> None:
    table = if_they_err(0.5, listed=(1.0, 0.5), unlisted=(1.0, 0.5))
    assert table.loc[1.0, 1.0] == table.loc[0.5, 0.5] == 0.5
    assert table.loc[1.0, 0.5] == pytest.approx(1 / 3)


# On a county


@pytest.fixture(scope="module")
def county(trained: fpml.County, tmp_path_factory: pytest.TempPathFactory) -> fpml.County:
    """A copy of the trained county, with two lists published."""
    root = tmp_path_factory.mktemp("audit") / "county"
    there = fpml.open(shutil.copytree(trained.workspace.root, root))
    for month in ("2023-05", AS_OF):
        folder = there.workspace.lists / month
        folder.mkdir(parents=True)
        names = there.at(AS_OF)["household_id"].to_pylist()
        keep_listed(folder, pa.array(names[:100]), ("model",) * 100)
    return there


def filled(audit: Audit, found: int) -> tuple[Path, Path, pd.DataFrame]:
    """Both files as they come back: all met, so many found and confirmed, who fell this month."""
    visitors, checks = (pd.read_csv(audit.folder / f"{n}.csv", dtype=str) for n in ("visitors", "county"))
    visitors = visitors.assign(met="yes", found=["yes"] * found + ["no"] * (len(visitors) - found))
    checks = checks.assign(checked=visitors["found"], confirmed=visitors["found"])
    checks["fell"] = ["2023-06"] * found + [""] * (len(checks) - found)
    places = audit.folder.parent / "visitors-back.csv", audit.folder.parent / "county-back.csv"
    for frame, place in zip((visitors, checks), places, strict=True):
        frame.sample(frac=1, random_state=1).to_csv(place, index=False)
    return *places, visitors


def test_an_audit_from_plan_to_estimate(county: fpml.County, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--workspace", str(county.workspace.root), "--json")
    wide = ("--half-width", "0.3", "--fallen", "0.05")
    assert main(["audit", "plan", AS_OF, *wide, *where]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert main(["audit", "draw", AS_OF, *wide, *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["drawn"] == planned["total"] == sum(planned["visits"])
    audit = Audit.of(county, AS_OF)
    before = {p.name: p.read_bytes() for p in audit.folder.iterdir()}
    assert main(["audit", "draw", AS_OF, *wide, *where]) == 0
    assert {p.name: p.read_bytes() for p in audit.folder.iterdir()} == before
    assert main(["audit", "draw", AS_OF, *wide, "--seed", "2", *where]) == 2
    visitors, checks, drawn_ones = filled(audit, 20)
    capsys.readouterr()
    assert main(["audit", "check", AS_OF, str(visitors), *where]) == 0
    again = json.loads(capsys.readouterr().out)
    whom = pd.read_csv(again["file"], dtype=str)
    assert set(drawn_ones["household_id"][:20]) <= set(whom["household_id"])
    assert "found" not in whom
    assert main(["audit", "estimate", AS_OF, str(visitors), str(checks), *where]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["finds"] == 20
    kept = (county.workspace.reports / f"audit-{AS_OF}.json").read_text()
    names = set(drawn_ones["household_id"])
    assert not any(name in text for name in names for text in (said.out, said.err, kept))
    # Who was listed the month before it fell was not missed; a list of the month itself does not count.
    listed = set(county.at(AS_OF)["household_id"].to_pylist()[:100])
    mine = drawn_ones["household_id"][:20].isin(listed).mean()
    assert json.loads(said.out)["naive"] == pytest.approx(mine)


def spoilt(change: Callable[[pd.DataFrame], pd.DataFrame], path: Path) -> Path:
    """A file changed and saved beside."""
    out = path.with_name(f"spoilt-{path.name}")
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(out, index=False)
    return out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.iloc[1:], "1 missing"),
        (lambda f: pd.concat([f, f.iloc[:2]]), "2 rows twice"),
        (lambda f: f.assign(household_id=["X", *f["household_id"][1:]]), "1 of nobody drawn, 1 missing"),
        (lambda f: f.drop(columns="met"), "no column met"),
        (lambda f: f.assign(met="perhaps"), "neither yes nor no"),
        (lambda f: f.assign(met="no"), "found and not met"),
    ],
)
def test_a_spoilt_file_is_refused_whole_and_names_nobody(
    county: fpml.County, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    audit = Audit.of(county, AS_OF)
    if not audit.folder.exists():
        over = ground(county, AS_OF, fallen=0.05)
        audit.draw(over, plan(over.strata, 0.3), seed=1)
    visitors, checks, drawn_ones = filled(audit, 20)
    with pytest.raises(InputError, match=said) as refused:
        audit.estimate(county, spoilt(change, visitors), checks)
    assert not any(name in str(refused.value) for name in drawn_ones["household_id"])


def test_a_fall_without_its_month_and_a_find_without_a_check_are_told(county: fpml.County) -> None:
    audit = Audit.of(county, AS_OF)
    visitors, checks, _ = filled(audit, 20)
    with pytest.raises(InputError, match="20 rows confirmed without the month"):
        audit.estimate(county, visitors, spoilt(lambda f: f.assign(fell=""), checks))
    none: dict[str, Any] = {"checked": "", "confirmed": ""}
    with pytest.raises(InputError, match="20 rows found, and not checked"):
        audit.estimate(county, visitors, spoilt(lambda f: f.assign(**none), checks))


def test_nothing_to_audit_yet_is_said(county: fpml.County, demo: fpml.County) -> None:
    with pytest.raises(NotYetError, match="fpml train"):
        ground(demo, "2022-06")
    with pytest.raises(NotYetError, match="fpml audit draw"):
        Audit.of(county, "2023-01").to_check(Path("x.csv"))
    with pytest.raises(UsageError, match="not a month"):
        Audit.of(county, "2023-13")
