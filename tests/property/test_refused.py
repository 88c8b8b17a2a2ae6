"""Refused rows are tried again only when something has come that can heal them: the same as trying all each month."""

import csv
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests_support import checked

import fpml
from fpml.errors import NotYetError
from fpml.intake.corrections import DECISION, GIVE_UP, SEND, TOKEN
from fpml.intake.places import Place

MEMBERS = ("户编号", "身份证号", "姓名", "单据编号", "与户主关系", "加入日期", "离开日期", "出生日期", "劳动能力",
           "劳动能力认定日期", "劳动能力截止日期", "备注")  # fmt: skip
STAYS = ("身份证号", "参保人姓名", "结算编号", "出院结算日期", "住院自付（元）", "备注")
COSTS = ("户主身份证号", "户主姓名", "结算编号", "结算日期", "自付金额（元）", "联系电话", "备注")
RECORDS = ("household_id", "indicator", "event_date", "known_date", "value", "record_id")
MONTHS = 4
# What the policy says of broken water, and what it says later: another code, and how it comes.
OTHERWISE = {
    "indicators.yaml": ("{1: {zh: 中断, en: broken off}}", "{1: {zh: 中断, en: broken off}, 2: {zh: 停, en: off}}"),
    "departments.yaml": ("words: {1: [中断, 停水]}", "words: {1: [中断, 停水], 2: [停]}"),
}
PEOPLE = [checked(f"360121198{n}010111{n}") for n in range(6)]


def write(path: Path, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([head, *rows])


def deliver(folder: Path, month: int, rng: random.Random) -> None:
    """A month's files: whom the register tells of, bills of anybody, and records known now, later, or never rightly."""
    name = f"2021-{month:02d}"
    told = rng.sample(range(6), rng.randrange(0, 3))
    rows = [(f"HX{n // 2}", PEOPLE[n], "", "", "户主", "2019-01-01", "", "1980-01-01", *[""] * 4) for n in told]
    if rows:
        write(folder / f"乡村振兴局-成员信息-{name}_{name}-13.csv", MEMBERS, rows)
    cost = ["100", "1O0", "250.50"]
    bills = [(rng.choice(PEOPLE), "", f"s{month}-{n}", f"{name}-03", rng.choice(cost), "") for n in range(4)]
    write(folder / f"医保局-住院自付费用-{name}_{name}-25.csv", STAYS, bills)
    bills = [(rng.choice(PEOPLE), "", f"c{month}-{n}", f"{name}-03", rng.choice(cost), "", "") for n in range(3)]
    write(folder / f"医保局-自付医疗费-{name}_{name}-25.csv", COSTS, bills)
    days = [f"{name}-20", f"2021-{month + 1:02d}-01", f"2021-{month + 3:02d}-01", "2021-13-01"]
    what = [("medical_self_paid", 5), ("medical_self_paid", 5), ("water_broken", 2)]
    records = [
        (f"HX{rng.randrange(3)}", indicator, f"{name}-02", rng.choice(days), value, f"r{month}-{n}")
        for n, (indicator, value) in enumerate(rng.choices(what, k=4))
    ]
    write(folder / f"records-{name}.csv", RECORDS, records)


def send_back(county: fpml.County, folder: Path, month: int, rng: random.Random) -> None:
    """The hospital bills that were refused as they come back: put right, wrong again, given up or left unfilled.

    Those with a bad amount alone: of a row that waits for the register the correction may come on the register's own
    day, and then the correction stands, where trying all would take in both.
    """
    shelf = county.inbox.shelf
    rows: list[tuple[object, ...]] = []
    for receipt in shelf.all():
        for row in shelf.refused(receipt.delivery).to_pylist() if receipt.sender else ():
            token = str(Place.of(receipt.delivery, row["sheet"], row["row"]))
            whom, cost = rng.choice(PEOPLE), rng.choice(["7", "7", "1O0"])
            told = (SEND, whom, "", f"z{token}", f"2021-{month:02d}-03", cost, "")
            way = rng.choice([told, told, (GIVE_UP, *[""] * 6), ("", *[""] * 6)])
            if (row["item"], row["reason"]) == ("inpatient", "not_a_number"):
                rows.append((token, *way))
    if rows:
        write(folder / f"医保局-更正-2021-{month:02d}_2021-{month:02d}-27.csv", (TOKEN, DECISION, *STAYS), rows)


def change_policy(root: Path) -> None:
    """From now on the county knows a code of which it has been told before."""
    for name, (old, new) in OTHERWISE.items():
        path = root / "policy" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


def held(county: fpml.County) -> tuple[Any, ...]:
    """All that the ledger and quarantine hold, and the counts of each delivery."""
    shelf = county.inbox.shelf
    columns = ["household_id", "person_id", "indicator", "record_id", "event_date", "known_date", "value", "delivery"]
    try:
        rows = sorted(map(repr, county.ledger.everything().select(columns).to_pylist()))
    except NotYetError:
        rows = []
    counts = {r.delivery: (r.rows, r.accepted, r.already_known, r.quarantined, r.later) for r in shelf.all()}
    for whole, accepted, known, quarantined, _ in counts.values():
        assert whole == accepted + known + sum(quarantined.values())
    refused = {d: shelf.refused(d).to_pylist() for d in counts}
    return rows, counts, refused, [(d, t.to_pylist()) for d, t in shelf.held()]


@settings(
    max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), changed=st.integers(2, MONTHS), returned=st.integers(2, MONTHS))
def test_what_is_tried_again_is_all_that_can_come_right(
    tmp_path_factory: pytest.TempPathFactory, seed: int, changed: int, returned: int
) -> None:
    """`changed`: the month from which the policy is another; `returned`: that in which refused rows come back."""
    roots = [fpml.init(tmp_path_factory.mktemp(name) / "county").root for name in ("sparing", "all")]
    (roots[1] / "data" / "identity.key").write_bytes((roots[0] / "data" / "identity.key").read_bytes())
    for month in range(1, MONTHS + 1):
        day = date(2021, month, 28)
        for root in roots:
            if month == changed:
                change_policy(root)
            if month == returned:
                send_back(fpml.open(root), root / "data" / "deliveries", month, random.Random(seed))
            deliver(root / "data" / "deliveries", month, random.Random(seed + month))
        sparing, everything = map(fpml.open, roots)
        sparing.intake(today=day)
        files = sorted(p for p in everything.workspace.deliveries.rglob("*") if p.is_file())
        everything.inbox.take(files, today=day)
        assert held(sparing) == held(everything)


def test_nothing_is_read_again_where_nothing_can_heal_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fpml.intake.shelf import Shelf

    root = fpml.init(tmp_path / "county").root
    folder = root / "data" / "deliveries"
    row = ("HX0", "medical_self_paid", "2021-01-02", "2021-03-01", 5, "r1")
    write(folder / "records-2021-01.csv", RECORDS, [row, (*row[:3], "2021-13-01", *row[4:])])
    write(
        folder / "医保局-住院自付费用-2021-01_2021-01-25.csv", STAYS, [(PEOPLE[0], "", "s1", "2021-01-03", "100", "")]
    )
    county = fpml.open(root)
    county.intake(today=date(2021, 1, 28))
    assert [r.quarantined for r in county.inbox.receipts()] == [
        {"bad_date": 1, "known_in_future": 1}, {"unknown_person": 1},
    ]  # fmt: skip
    opened: list[str] = []
    of = Shelf._of
    monkeypatch.setattr(Shelf, "_of", lambda self, d, kind: opened.append(kind) or of(self, d, kind))
    books = {p.name: p.stat().st_mtime_ns for p in county.workspace.corrections.rglob("*.xlsx")}
    assert len(books) == 1
    for month in (1, 2):
        assert county.inbox.waiting(today=date(2021, month, 28)) == []
        county.intake(today=date(2021, month, 28))
    assert "held" not in opened
    assert {p.name: p.stat().st_mtime_ns for p in county.workspace.corrections.rglob("*.xlsx")} == books
    member = ("HX0", PEOPLE[0], "", "", "户主", "2019-01-01", "", "1980-01-01", *[""] * 4)
    write(folder / "乡村振兴局-成员信息-2021-03_2021-03-13.csv", MEMBERS, [member])
    (again, _) = sorted(p.name for p in county.inbox.waiting(today=date(2021, 3, 28)))
    assert again == "records-2021-01.csv"
    county.intake(today=date(2021, 3, 28))
    assert [r.quarantined for r in county.inbox.receipts()] == [{"bad_date": 1}, {}, {}]
    assert not [*county.workspace.corrections.rglob("*.xlsx")]
