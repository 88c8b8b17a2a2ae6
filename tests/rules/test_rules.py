"""Runs the scenarios beside this file; see README.md for how to write one."""

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

import fpml
from fpml.catalogue import Catalogue

HERE = Path(__file__).parent
HEADER = ("household_id", "indicator", "event_date", "known_date", "value", "person_id", "until_date")
KEYS = {"name", "as_of", "records", "hit"}
FIRST = ("2015-01-15", "2015-01-31")


def scenarios() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each scenario with the household that stands for it, and its rule. Every cell stays text, as it was written."""
    number = 0
    for path in sorted(HERE.glob("*.yaml")):
        read = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        assert path.stem == read["rule"], f"{path.name} holds scenarios of {read['rule']}"
        for scenario in read["scenarios"]:
            assert set(scenario) - {"unwatched"} == KEYS, f"{path.name}: {scenario.get('name')}: keys"
            assert scenario["hit"] in ("true", "false"), f"{path.name}: {scenario['name']}: hit is true or false"
            number += 1
            yield f"S{number:04d}", read["rule"], scenario


SCENARIOS = list(scenarios())


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> fpml.County:
    """A county of the default policy in which every scenario is a household, and every indicator goes far back."""
    root = fpml.init(tmp_path_factory.mktemp("rules") / "county").root
    county = fpml.open(root)
    rows: list[tuple[str, ...]] = []
    months = sorted({s["as_of"] for _, _, s in SCENARIOS})
    # Each department tells of something to the end, so that silence means that nothing happened.
    to_the_end = {i.department: n for n, i in catalogue.indicators.items() if i.flows}.values()
    for name, indicator in catalogue.indicators.items():
        whom = "FIRST-1" if indicator.grain == "person" else ""
        rows.append(("FIRST", name, *FIRST, str(next(iter(indicator.codes or {1: None}))), whom, ""))
        for as_of in months if name in to_the_end else ():
            rows.append(("FIRST", name, f"{as_of}-15", f"{as_of}-28", "1", whom, ""))
    for household, _, scenario in SCENARIOS:
        if scenario.get("unwatched") != "true":
            rows.append((household, "members", *FIRST, "3", "", ""))
        for r in scenario["records"]:
            person = f"{household}-{r['person']}" if "person" in r else ""
            told = (r["indicator"], r["event_date"], r["known_date"], r["value"], person, r.get("until_date", ""))
            rows.append((household, *told))
    with (root / "records.csv").open("w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([HEADER, *rows])
    (receipt,) = county.intake([root / "records.csv"], today=date(2024, 6, 30))
    assert receipt.accepted + receipt.already_known == len(rows), receipt.quarantined
    return county


@pytest.fixture(scope="module")
def hits(county: fpml.County) -> set[tuple[str, str, str]]:
    """As-of, household and rule of every hit."""
    found = set()
    for as_of in sorted({s["as_of"] for _, _, s in SCENARIOS}):
        frame = county.hits(as_of)
        found |= {(as_of, h, r) for h, r in zip(frame["household_id"], frame["rule"], strict=True)}
    return found


@pytest.mark.parametrize(
    ("household", "rule", "scenario"), [pytest.param(h, r, s, id=f"{r}: {s['name']}") for h, r, s in SCENARIOS]
)
def test_scenario(hits: set[tuple[str, str, str]], household: str, rule: str, scenario: dict[str, Any]) -> None:
    hit = (scenario["as_of"], household, rule) in hits
    assert hit == (scenario["hit"] == "true")


def test_every_rule_has_scenarios_on_both_sides(catalogue: Catalogue) -> None:
    told = {(rule, s["hit"]) for _, rule, s in SCENARIOS}
    assert told == {(rule, hit) for rule in catalogue.rules for hit in ("true", "false")}


def test_no_two_scenarios_of_a_rule_have_the_same_name() -> None:
    names = [(rule, s["name"]) for _, rule, s in SCENARIOS]
    assert len(names) == len(set(names))


def test_the_evidence_of_a_hit_names_the_value_and_the_threshold(county: fpml.County) -> None:
    frame = county.hits("2023-06")
    exactly = next(h for h, r, s in SCENARIOS if r == "medical_15000" and s["name"] == "exactly 15,000 yuan")
    (said,) = frame[(frame["household_id"] == exactly) & (frame["rule"] == "medical_15000")]["evidence"]
    assert "15,000 元 ≥ 15,000" in said


def test_a_hit_in_full_has_its_records_and_why_this_threshold(county: fpml.County) -> None:
    stay = next(
        h for h, r, s in SCENARIOS if r == "inpatient_stay" and s["name"] == "formerly poor and exactly 5,000 yuan"
    )
    (hit,) = county.evidence(stay, "2023-06", language="en")
    assert (hit["rule"], hit["deadline"], hit["mark"]) == (
        "inpatient_stay", "by day 5 of each month", "found in a public source",
    )  # fmt: skip
    (test,) = hit["tests"]
    told = {k: test[k] for k in ("value", "threshold", "inclusive", "in_force_from", "household_type", "unit")}
    assert told == {
        "value": "5,000 yuan", "threshold": "5,000", "inclusive": True, "in_force_from": "2020-01-01",
        "household_type": "formerly poor", "unit": "yuan",
    }  # fmt: skip
    assert test["records"] == [
        {"indicator": "self-paid inpatient cost", "event_date": "2023-05-10", "known_date": "2023-06-05",
         "value": "5,000 yuan"}
    ]  # fmt: skip


def household_of(rule: str, name: str) -> str:
    """The household that stands for a scenario."""
    return next(h for h, r, s in SCENARIOS if (r, s["name"]) == (rule, name))


@pytest.mark.parametrize(
    ("rule", "name", "channel", "said"),
    [
        ("declared_hardship", "one declaration", "declared", "self-declaration"),
        ("walked_find", "one find", "walked", "cadre's walk"),
        ("medical_15000", "exactly 15,000 yuan", "department", "rule"),
    ],
)
def test_whoever_is_listed_is_listed_with_the_line_it_came_by(
    county: fpml.County, rule: str, name: str, channel: str, said: str
) -> None:
    household = household_of(rule, name)
    frame = county.hits("2023-06")
    assert frame[(frame["household_id"] == household) & (frame["rule"] == rule)]["channel"].tolist() == [channel]
    (hit,) = (h for h in county.evidence(household, "2023-06", language="en") if h["rule"] == rule)
    assert hit["channel"] == ("a department's screening" if channel == "department" else said)
    listed = county.warning_list("2023-06", language="en").rows.set_index("household")
    assert listed.loc[household, "listed_by"] == said
    assert hit["sentence"] in listed.loc[household, "rules"]


def test_what_was_declared_is_told_beside_a_rule_that_lists_the_household_already(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    day = ("2023-06-10", "2023-06-20")
    rows = [("H1", k, *day, v) for k, v in (("declared", "1"), ("house_unsafe", "1"))]
    one = told(root, ("H1", "members", *FIRST, "3"), *rows)
    (row,) = one.warning_list("2023-06", language="en").rows.to_dict("records")
    assert row["listed_by"] == "rule"
    assert row["rules"].splitlines() == [
        "house graded C or D (1 reports ≥ 1; no notice on record; an assumed threshold)",
        "the household declared hardship (1 reports ≥ 1; Jiangxi, 2021 (as reported))",
    ]  # fmt: skip


def test_a_corrected_record_behind_a_hit_is_told_as_it_stood_then(county: fpml.County) -> None:
    said = "corrected down only afterwards, so it stood at that time"
    household = next(h for h, r, s in SCENARIOS if r == "medical_15000" and s["name"] == said)
    hit = next(e for e in county.evidence(household, "2023-06", language="en") if e["rule"] == "medical_15000")
    ((record,),) = ([r["value"] for r in t["records"]] for t in hit["tests"])
    assert record == "15,000 yuan"
    assert not [e for e in county.evidence(household, "2023-07") if e["rule"] == "medical_15000"]


def told(root: Path, *rows: tuple[str, ...]) -> fpml.County:
    """A county to which only these rows have been told."""
    county = fpml.open(root)
    with (root / "records.csv").open("w", newline="") as f:
        csv.writer(f).writerows([HEADER, *((*r, "", "") for r in rows)])
    county.intake([root / "records.csv"], today=date(2024, 6, 30))
    return county


def test_a_cost_above_the_threshold_hits_whatever_was_not_told_before(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    cost = ("H1", "medical_self_paid", "2023-03-10", "2023-04-05", "20000")
    county = told(root, ("H1", "members", *FIRST, "3"), ("H2", "members", *FIRST, "3"), cost)
    assert set(county.hits("2023-04")["household_id"]) == {"H1"}
    histories = county.frame(county.at("2023-04")).set_index("household_id")
    # The other household's cost is not known: nobody has told of the months before.
    assert histories.loc["H1", "medical_self_paid__sum__12m"] == 20000
    assert histories["medical_self_paid__sum__12m"].isna()["H2"]


def test_a_department_that_falls_silent_makes_income_unknown_and_nobody_poor(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    days = [f"{y}-{m:02d}" for y in (2022, 2023) for m in range(1, 13)]
    rows = [("H1", "members", "2022-01-01", "2022-01-31", "2")]
    for i, month in enumerate(days):
        rows += [("H1", k, f"{month}-10", f"{month}-28", "3000") for k in ("income_farm", "transfers")]
        rows += [("H1", "income_wage", f"{month}-10", f"{month}-28", "900")] if i < 16 else []
    county = told(root, *rows)
    income = {a: county.frame(county.at(a))["income_wage__sum__12m_1m_ago"].tolist()[0] for a in ("2023-05", "2023-10")}
    assert income["2023-05"] == 12 * 900
    assert str(income["2023-10"]) == "nan"
    # A sum with an unknown part is unknown, not a smaller sum.
    assert county.frame(county.at("2023-10"))["income"].isna().all()
    assert not county.frame(county.at("2023-05"))["income"].isna().any()


def test_a_threshold_holds_from_its_day_on(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    rules = root / "policy" / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    dated = "[{from: 2020-01-01, value: 15000}, {from: 2023-06-30, value: 12000}, {from: 2023-08-01, value: 20000}]"
    rules.write_text(text.replace("[{from: 2020-01-01, value: 15000}]", dated), encoding="utf-8")
    cost = "medical_self_paid"
    rows = [
        ("H1", "members", *FIRST, "3"),
        ("H2", cost, *FIRST, "1"),
        ("H1", cost, "2023-03-10", "2023-04-05", "12000"),
    ]
    county = told(root, *rows, ("H2", "members", "2023-08-10", "2023-08-31", "2"))
    hit = {a: len(county.hits(a)) for a in ("2023-05", "2023-06", "2023-07", "2023-08")}
    assert hit == {"2023-05": 0, "2023-06": 1, "2023-07": 1, "2023-08": 0}
