"""What is watched from month to month: each fault raises its alarm in its month, and a county in good order none."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from fpml import health
from fpml.catalogue import Catalogue, Precision
from fpml.dates import AsOf
from fpml.health import halved, shifted
from fpml.intake import Receipt
from fpml.intake.expected import expected

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
    (alarm,) = health.missing(receipts, told, AsOf.parse("2021-11"))
    assert "2021-10" in alarm.said(catalogue.watching, "zh")
    assert SENDER in alarm.said(catalogue.watching, "zh")
    assert "has not delivered 2021-11" in alarm.said(catalogue.watching, "en")
    assert list(health.missing(receipts, told, AsOf.parse("2021-10"))) == []


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


@pytest.mark.parametrize(("factor", "said"), [(2.0, 1), (0.5, 1), (1.0, 0), (1.2, 0)])
def test_prices_that_double_are_told_in_their_month(desk: Any, factor: float, said: int) -> None:
    costs(desk, factor)
    found = list(health.levels(desk.ledger, desk.catalogue, AsOf.parse("2023-03")))
    assert len(found) == said
    for alarm in found:
        assert float(alarm.facts["times"]) == pytest.approx(factor, rel=0.25)
        assert "same month of earlier years" in alarm.said(desk.catalogue.watching, "en")
    assert list(health.levels(desk.ledger, desk.catalogue, AsOf.parse("2022-03"))) == [], "nothing to compare with"


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
        found = halved(np.concatenate([visits(rng, 0.2, 24), visits(rng, 0.1, 24)]), RULE)
        assert found is not None
        delays.append(found - 24 * 300)
    late = [d for d in delays if d >= 0]
    assert len(late) >= 90
    assert np.median(late) == pytest.approx(stated, rel=0.35)


def test_quiet_counties_seldom_accuse_their_visits() -> None:
    """60 counties of three years, 300 visits a month, a twentieth to two fifths of them confirmed: 5 % at most."""
    rng = np.random.default_rng(4)
    shares = rng.uniform(0.05, 0.4, 60)
    assert sum(halved(visits(rng, s, 36), RULE) is not None for s in shares) <= 3


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


def test_every_alarm_says_what_to_do_in_both_languages(catalogue: Catalogue) -> None:
    for monitor in catalogue.watching.monitors.values():
        assert monitor.remedy.zh
        assert monitor.remedy.en
