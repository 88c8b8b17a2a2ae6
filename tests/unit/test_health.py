"""What is watched from month to month: each fault raises its alarm in its month, and a county in good order none."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpml
from fpml import health, tracking
from fpml.catalogue import Calibration, Catalogue, Precision, Words, load
from fpml.dates import AsOf
from fpml.health import Came, Snapshot, astray, calibration_delay, halvings, outside, shifted, spread
from fpml.intake import Receipt
from fpml.intake.expected import expected
from fpml.rules import hits
from fpml.workspace import DEFAULT_POLICY

SENDER, OTHER = "医保局", "人社局"
FIRST = AsOf.parse("2021-01")
RULE = Precision(learn=200, false_alarm_in=1_000_000)


def receipt(n: int, *, sender: str = SENDER, refused: int = 2) -> Receipt:
    month = str(FIRST.shift(n))
    return Receipt(
        f"{sender}-住院自付费用-{month}_{FIRST.shift(n)}-10.csv", f"{sender}{n}", rows=400, accepted=400 - refused,
        quarantined={"not_an_amount": refused}, sender=sender, month=month, day=f"{FIRST.shift(n)}-10",
        filled={"inpatient": {"*": 400}},
    )  # fmt: skip


def both(months: int) -> list[Receipt]:
    return [receipt(n, sender=s) for n in range(months) for s in (SENDER, OTHER)]


def test_a_department_that_does_not_deliver_is_told_with_what_lists_rest_on(catalogue: Catalogue) -> None:
    receipts = [r for r in both(12) if not (r.sender == SENDER and r.month == "2021-11")]
    # A month later, and so beyond the days of grace.
    told = expected([*receipts, receipt(12, sender=OTHER)], catalogue)
    (alarm,) = health.missing(receipts, told, AsOf.parse("2021-11"), catalogue)
    assert "2021-10" in alarm.said(catalogue.watching, "zh")
    assert SENDER in alarm.said(catalogue.watching, "zh")
    assert "has not delivered 2021-11" in alarm.said(catalogue.watching, "en")
    assert list(health.missing(receipts, told, AsOf.parse("2021-10"), catalogue)) == []


@pytest.mark.parametrize(("refused", "alarms"), [(2, 0), (19, 0), (20, 1), (40, 1)])
def test_rows_that_are_damaged_are_told_from_a_twentieth_on(catalogue: Catalogue, refused: int, alarms: int) -> None:
    receipts = [*both(6), receipt(6, refused=refused), receipt(6, sender=OTHER)]
    found = list(health.damaged(receipts, catalogue, FIRST.shift(6)))
    assert [a.of.said("zh") for a in found] == [SENDER] * alarms
    assert all(f"{refused / 400:.0%}" in a.said(catalogue.watching, "en") for a in found)


def test_a_sender_whose_rows_are_always_refused_is_no_news(catalogue: Catalogue) -> None:
    receipts = [replace(r, quarantined={"x": 60}) for r in both(6)]
    assert list(health.damaged([*receipts, receipt(6, refused=70)], catalogue, FIRST.shift(6))) == []
    assert list(health.damaged([receipt(0), receipt(1, refused=200)], catalogue, FIRST.shift(1))) == []


def costs(desk: Any, factor: float, households: int = 400) -> None:
    """Two years' Marches and a February of ordinary medical costs; those of the last March times a factor."""
    rng = np.random.default_rng(5)
    rows = []
    for month, times in (("2022-03", 1.0), ("2023-02", 5.0), ("2023-03", factor)):
        for i, value in enumerate(np.exp(rng.normal(6.5, 1.0, households)) * times):
            rows.append((f"H{i}", "", "medical_self_paid", f"{month}-05", f"{month}-28", f"{value:.2f}", ""))
    desk.take(desk.csv(*rows))


def leveled(desk: Any, month: str) -> list[health.Alarm]:
    as_of = AsOf.parse(month)
    return list(health.levels(health.told(desk.ledger, desk.catalogue, as_of), desk.catalogue, as_of))


@pytest.mark.parametrize(("factor", "said"), [(2.0, 1), (0.5, 1), (1.0, 0), (1.2, 0)])
def test_prices_that_double_are_told_in_their_month(desk: Any, factor: float, said: int) -> None:
    costs(desk, factor)
    found = leveled(desk, "2023-03")
    assert len(found) == said
    for alarm in found:
        assert float(alarm.facts["times"]) == pytest.approx(factor, rel=0.25)
        assert "same month of earlier years" in alarm.said(desk.catalogue.watching, "en")
    assert leveled(desk, "2022-03") == [], "nothing to compare with"


def test_quiet_indicators_raise_no_alarm() -> None:
    """1,000 months of an indicator of any size and spread: at most 2 of them accuse."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(1_000):
        n, spread = int(rng.integers(5, 600)), rng.uniform(0.2, 1.8)
        now, before = rng.normal(7, spread, n), rng.normal(7, spread, 2 * n)
        alarms += shifted(now, before, times=1.5, errors=4) is not None
    assert alarms <= 2


def visits(rng: np.random.Generator, share: float, months: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return rng.random(300 * months) < share


def test_a_precision_that_halves_is_told_after_the_delay_that_is_stated() -> None:
    rng, stated = np.random.default_rng(3), health.delay(0.2, RULE)
    delays = []
    for _ in range(100):
        found = halvings(np.concatenate([visits(rng, 0.2, 24), visits(rng, 0.1, 24)]), RULE)
        assert found
        delays.append(found[0] - 24 * 300)
    late = [d for d in delays if d >= 0]
    assert len(late) >= 90
    assert np.median(late) == pytest.approx(stated, rel=0.35)


def test_quiet_counties_seldom_accuse_their_visits() -> None:
    """60 counties of three years, 300 visits a month, a twentieth to two fifths of them confirmed: 5 % at most."""
    rng = np.random.default_rng(4)
    shares = rng.uniform(0.05, 0.4, 60)
    assert sum(bool(halvings(visits(rng, s, 36), RULE)) for s in shares) <= 3


def test_visits_that_confirm_less_are_told_in_the_month_in_which_it_became_clear(desk: Any) -> None:
    rng = np.random.default_rng(6)
    rows = []
    for n, share in enumerate([0.3, 0.3, 0.3, 0.3, 0.3, 0.02]):
        month = FIRST.shift(n)
        answers = np.where(rng.random(200) < share, 2, 1)
        rows += [(f"H{i}", "", "verified", f"{month}-10", str(month.date), a, "") for i, a in enumerate(answers)]
    desk.take(desk.csv(*rows), today=date(2021, 12, 31))
    found = {n: list(health.precision(desk.ledger, desk.catalogue, FIRST.shift(n))) for n in range(7)}
    assert {n for n, alarms in found.items() if alarms} == {5}
    assert "confirm" in found[5][0].said(desk.catalogue.watching, "en")


def test_it_is_said_what_share_of_high_risk_reasons_rests_on_old_data(catalogue: Catalogue) -> None:
    receipts = [r for r in both(12) if not (r.sender == SENDER and r.month == "2021-11")]
    told = expected([*receipts, receipt(12, sender=OTHER)], catalogue)
    listed = replace(snapshot("2021-11"), reasons={"medical_insurance": 19, "bank": 40}, told=50)
    (alarm,) = health.missing(receipts, told, AsOf.parse("2021-11"), catalogue, listed)
    assert "2021-10 and before; 38% of high-risk reasons rest on that" in alarm.said(catalogue.watching, "en")
    assert "高风险户的理由有38%" in alarm.said(catalogue.watching, "zh")


# What lists are made from


def monthly(desk: Any, counts: Sequence[int]) -> list[health.Alarm]:
    """So many records of medical costs told in each of some months, and ten of accidents; the alarms of the last."""
    rows = []
    for n, count in enumerate(counts):
        month = FIRST.shift(n)
        for indicator, number in (("medical_self_paid", count), ("accident", 10)):
            rows += [(f"H{i}", "", indicator, f"{month}-05", str(month.date), 100 + i, "") for i in range(number)]
    desk.take(desk.csv(*rows))
    last = FIRST.shift(len(counts) - 1)
    return list(health.volumes(health.told(desk.ledger, desk.catalogue, last), desk.catalogue, last))


@pytest.mark.parametrize(("last", "alarms"), [(0, 1), (4, 1), (25, 0), (45, 0), (150, 1)])
def test_records_that_are_far_fewer_or_more_than_in_a_year_are_told(desk: Any, last: int, alarms: int) -> None:
    found = monthly(desk, [40, 50] * 6 + [last])
    assert len(found) == alarms
    for alarm in found:
        assert alarm.of.said("en") == desk.catalogue.indicators["medical_self_paid"].name.said("en")
        assert alarm.facts["usual"] == ("50" if last > 50 else "40")


def test_what_a_missing_department_has_not_told_is_not_told_twice(desk: Any) -> None:
    assert monthly(desk, [40] * 12 + [0])
    last = FIRST.shift(12)
    came = health.told(desk.ledger, desk.catalogue, last)
    owing = frozenset({"medical_insurance"})
    assert list(health.volumes(came, desk.catalogue, last, owing=owing)) == []


def test_what_comes_when_it_comes_is_no_news() -> None:
    assert outside(300, [20] * 11 + [280], times=3, errors=6) is None
    assert outside(1_000, [20] * 11 + [280], times=3, errors=6) is None
    assert outside(300, [20] * 12, times=3, errors=6) == 20
    assert outside(2, [0] * 12, times=3, errors=6) is None


def snapshot(month: str, *, mean: float = -3.0, seed: int = 1, people: int = 600, **of: Any) -> Snapshot:
    """A list's counts: chances whose log-odds are normal about a mean."""
    odds = np.random.default_rng([seed, AsOf.parse(month).month]).normal(mean, 1.2, people)
    scores = tuple(np.histogram(odds, np.arange(-10.0, 5.01, 0.25))[0].tolist())
    told = Snapshot(
        month, "p", "m", {"new_poverty": "a"}, people, {"income_wage": 0.4}, {"medical_15000": 40}, scores, 0.05,
        listed=100, scored=100, expected=20.0,
    )  # fmt: skip
    return replace(told, **of)


def kept(months: int, last: Snapshot | None = None, **of: Any) -> dict[int, Snapshot]:
    found = {FIRST.month + n: snapshot(str(FIRST.shift(n)), **of) for n in range(months)}
    return found | ({AsOf.parse(last.month).month: last} if last else {})


LAST = "2022-02"  # the fourteenth month


@pytest.mark.parametrize(("mean", "alarms"), [(-3.0, 0), (-2.8, 0), (-2.0, 1), (-4.0, 1)])
def test_chances_that_are_spread_otherwise_are_told(catalogue: Catalogue, mean: float, alarms: int) -> None:
    found = list(health.scores(kept(13, snapshot(LAST, mean=mean)), catalogue, AsOf.parse(LAST)))
    assert len(found) == alarms
    other = replace(snapshot(LAST, mean=mean), models={"new_poverty": "b"})
    assert list(health.scores(kept(13, other), catalogue, AsOf.parse(LAST))) == [], "a new model has no past"


def test_chances_of_small_quiet_counties_are_not_accused() -> None:
    drawn = [snapshot(LAST, seed=s, people=300).scores for s in range(200)]
    assert max(spread(a, b) for a, b in zip(drawn[::2], drawn[1::2], strict=True)) < 0.25
    assert spread(drawn[0], drawn[0]) == pytest.approx(0)


def test_indicators_and_rules_that_concern_far_more_households_are_told(catalogue: Catalogue) -> None:
    month = AsOf.parse(LAST)
    assert list(health.inputs(kept(13, snapshot(LAST)), catalogue, month)) == []
    told = snapshot(LAST, shares={"income_wage": 0.1}, hits={"medical_15000": 130})
    found = list(health.inputs(kept(13, told), catalogue, month))
    names = [catalogue.indicators["income_wage"].name, catalogue.rules["medical_15000"].name]
    assert [a.of for a in found] == names
    assert [dict(a.facts) for a in found] == [
        {"households": "60", "usual": "240"},
        {"households": "130", "usual": "40"},
    ]
    other = replace(told, meaning="n")
    assert list(health.inputs(kept(13, other), catalogue, month)) == [], "features that mean something else"


def test_a_list_that_finds_half_of_what_lists_did_is_told_as_an_estimate(catalogue: Catalogue) -> None:
    month = AsOf.parse(LAST)
    assert list(health.expected(kept(13, snapshot(LAST, expected=12.0)), catalogue, month)) == []
    (alarm,) = health.expected(kept(13, snapshot(LAST, expected=9.0)), catalogue, month)
    assert "an estimate" in alarm.said(catalogue.watching, "en")


def test_snapshots_come_back_as_they_were_kept(tmp_path: Path) -> None:
    change = health.Change("medical_15000", "自付", "self-paid", "≥ 15,000", "≥ 12,000", 3, 5)
    told = snapshot(LAST, changes=(change,), policy_files=("rules.yaml",), came=3, foreseen=2.5)
    told.keep(tmp_path)
    (tmp_path / "2022-01.json").write_text("{", encoding="utf-8")
    assert health.snapshots(tmp_path, AsOf.parse(LAST)) == {AsOf.parse(LAST).month: told}
    assert health.snapshots(tmp_path, AsOf.parse("2022-01")) == {}


def test_a_threshold_that_is_changed_is_told_with_what_it_hits(
    demo: fpml.County, policy: Path, catalogue: Catalogue
) -> None:
    rules = policy / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("value: 15000}", "value: 1500}"), encoding="utf-8")
    histories = demo.at("2022-06")
    new = load(policy, DEFAULT_POLICY)
    held, was = hits(histories, new), hits(histories, catalogue)
    found = {c.rule: c for c in health.changes(catalogue, new, histories, held)}
    change = found["medical_15000"]
    assert (change.before, change.now) == ("≥ 15,000", "≥ 1,500")
    assert (change.hits_before, change.hits_now) == (was["medical_15000"].sum(), held["medical_15000"].sum())
    assert change.hits_now > change.hits_before
    assert list(health.changes(catalogue, catalogue, histories, was)) == []
    month = AsOf.parse(LAST)
    told = {month.month: snapshot(LAST, changes=(change,), policy_files=("county.yaml", "rules.yaml"))}
    alarms = list(health.threshold(told, month))
    assert [a.monitor for a in alarms] == ["threshold", "policy"]
    assert "(≥ 15,000 → ≥ 1,500)" in alarms[0].said(catalogue.watching, "zh").replace("（", "(").replace("）", ")")
    assert alarms[1].facts == {"files": "county.yaml"}


def test_a_dated_value_whose_day_comes_is_no_change_and_a_rule_that_goes_is(
    demo: fpml.County, policy: Path, catalogue: Catalogue
) -> None:
    rules = policy / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    dated = text.replace("value: 15000}", "value: 15000}, {from: 2023-01-01, value: 1500}", 1)
    rules.write_text(dated, encoding="utf-8")
    histories, new = demo.at("2022-06"), load(policy, DEFAULT_POLICY)
    assert list(health.changes(catalogue, new, histories, hits(histories, new))) == []
    begins, ends = text.index("medical_15000:"), text.index("# Half of, and")
    rules.write_text(text[:begins] + text[ends:], encoding="utf-8")
    without = load(policy, DEFAULT_POLICY)
    (gone,) = health.changes(catalogue, without, histories, hits(histories, without))
    assert (gone.rule, gone.now, gone.hits_now) == ("medical_15000", "-", 0)
    assert gone.name_en == catalogue.rules["medical_15000"].name.said("en")


# What came of lists

CALIBRATION = Calibration(times=2, dispersion=2, false_alarm_in=1000)


def entries(rng: np.random.Generator, foreseen: float, share: float, months: int) -> list[Came]:
    return [Came(n, foreseen, int(rng.poisson(foreseen * share))) for n in range(months)]


@pytest.mark.parametrize("times", [0.5, 2.0])
def test_chances_that_go_astray_are_told_after_the_delay_that_is_stated(times: float) -> None:
    rng, stated = np.random.default_rng(7), calibration_delay(12, times, CALIBRATION)
    found = [astray(entries(rng, 12, times, 60), times, CALIBRATION) for _ in range(200)]
    assert all(found)
    assert np.mean([f[0][1] + 1 for f in found]) == pytest.approx(stated, rel=0.35)


def test_chances_of_quiet_counties_are_seldom_accused() -> None:
    """60 counties of three years, with up to 30 entries a month, a fifth more or fewer than foreseen: 5 % at most."""
    rng = np.random.default_rng(8)
    told = [entries(rng, rng.uniform(1, 30), rng.uniform(0.8, 1.2), 36) for _ in range(60)]
    assert sum(any(astray(t, times, CALIBRATION) for times in (0.5, 2.0)) for t in told) <= 3


def test_what_goes_astray_again_is_told_again() -> None:
    quiet, wild = [Came(0, 12, 12)] * 24, [Came(0, 12, 40)] * 3
    assert len({until for _, until in astray([*wild, *quiet, *wild], 2.0, CALIBRATION) if until > 20}) >= 1
    again = np.concatenate(
        [np.tile([True, False], 300), np.zeros(80, bool), np.tile([True, False], 300), np.zeros(80, bool)]
    )
    assert len(halvings(again, RULE)) >= 2


def test_entries_are_held_against_what_the_month_before_foresaw(catalogue: Catalogue) -> None:
    quiet = {m: replace(s, foreseen=20.0, came=20) for m, s in kept(12).items()}
    assert [c.month for c in health.foreseen(quiet)] == [FIRST.month + n for n in range(1, 12)]
    fewer = {m: replace(s, came=6) if m > FIRST.month + 4 else s for m, s in quiet.items()}
    found = {n: list(health.calibration(fewer, catalogue, FIRST.shift(n))) for n in range(12)}
    (first,) = [n for n, a in found.items() if a][:1]
    assert 5 <= first <= 9
    (alarm,) = found[first]
    assert alarm.monitor == "overestimates"
    assert "months to be sure" in alarm.said(catalogue.watching, "en")
    assert all(not list(health.calibration(quiet, catalogue, FIRST.shift(n))) for n in range(12))


def test_an_audit_that_finds_too_many_missed_is_told(tmp_path: Path, catalogue: Catalogue) -> None:
    month = AsOf.parse(LAST)
    for low, high, alarms in ((0.1, 0.25, 1), (0.1, 0.5, 0), (float("nan"), float("nan"), 0)):
        told = {"recall": {"estimate": (low + high) / 2, "low": low, "high": high}}
        (tmp_path / f"audit-{LAST}.json").write_text(json.dumps(told), encoding="utf-8")
        assert len(list(health.recall(tmp_path, catalogue, month))) == alarms
        # Its visits take a year, and it stands for a year more.
        assert len(list(health.recall(tmp_path, catalogue, month.shift(24)))) == alarms
        assert not [*health.recall(tmp_path, catalogue, month.shift(25))]
        assert not [*health.recall(tmp_path, catalogue, month.shift(-1))]


def test_a_countys_own_file_may_say_less(policy: Path, catalogue: Catalogue) -> None:
    (policy / "health.yaml").write_text("refused: {at_least: 0.2, times: 2}\n", encoding="utf-8")
    own = load(policy, DEFAULT_POLICY).watching
    assert own.refused.at_least == 0.2
    assert own.monitors == catalogue.watching.monitors
    assert own.level == catalogue.watching.level


def test_a_tracking_database_that_is_damaged_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database " * 100, encoding="utf-8")
    settings = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), "county"
    assert tracking.logged(settings, name="health", params={}, metrics={"alarms": 1.0}) is False


def test_every_alarm_says_what_to_do_in_both_languages(catalogue: Catalogue) -> None:
    for monitor in catalogue.watching.monitors.values():
        assert monitor.remedy.zh
        assert monitor.remedy.en


def test_a_sentence_with_a_place_that_nothing_fills_is_refused_when_it_is_read(catalogue: Catalogue) -> None:
    own = catalogue.watching.monitors["level"].model_copy(update={"says": Words(zh="x{记录}", en="x")})
    wrong = catalogue.watching.model_copy(update={"monitors": {**catalogue.watching.monitors, "level": own}})
    (fault,) = wrong.strange_places(catalogue.watching)
    assert "nothing fills `{记录}`" in fault.problem
    assert not list(catalogue.watching.strange_places(catalogue.watching))
