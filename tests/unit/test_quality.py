"""What on record does not fit together: the scenarios of tests/rules/quality, the policy, and a simulated county."""

import csv
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import fpml
from fpml import quality
from fpml.catalogue import Catalogue, load
from fpml.errors import PolicyError
from fpml.workspace import DEFAULT_POLICY

FOLDER = Path(__file__).parents[1] / "rules" / "quality"
HEADER = ("household_id", "indicator", "event_date", "known_date", "value", "person_id", "until_date")
# Every department tells of all months between these, and of none after.
FIRST, LAST = ("2015-01-15", "2015-01-31"), ("2023-06-15", "2023-06-30")
VERDICTS = {"found", "fits", "unknown", "outside"}


def scenarios() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each scenario with the household that stands for it, and its check; what always is is added to its records."""
    number = 0
    for path in sorted(FOLDER.glob("*.yaml")):
        read = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        assert path.stem == read["check"], f"{path.name} holds scenarios of {read['check']}"
        for scenario in read["scenarios"]:
            assert set(scenario) <= {"name", "as_of", "without", "records", "verdict"}, scenario["name"]
            assert scenario["verdict"] in VERDICTS, scenario["name"]
            always = [r for r in read["always"] if r["indicator"] not in scenario.get("without", ())]
            number += 1
            whole = {"as_of": "2023-06"} | scenario | {"records": [*always, *scenario.get("records", ())]}
            yield f"Q{number:04d}", read["check"], whole


SCENARIOS = list(scenarios())


def departments_tell(catalogue: Catalogue) -> Iterator[tuple[str, ...]]:
    """One indicator of each department, told of one household at both ends of the time told."""
    told = {i.department: name for name, i in reversed(catalogue.indicators.items())}
    told |= {i.department: name for name, i in reversed(catalogue.indicators.items()) if i.flows}
    for name in told.values():
        whom = "FIRST-1" if catalogue.indicators[name].grain == "person" else ""
        for days in (FIRST, LAST):
            yield ("FIRST", name, *days, "1", whom, "")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> fpml.County:
    """A county of the default policy in which every scenario is a household."""
    root = fpml.init(tmp_path_factory.mktemp("quality") / "county").root
    county = fpml.open(root)
    rows = [*departments_tell(catalogue), ("FIRST", "members", "2024-05-15", "2024-05-31", "1", "", "")]
    for household, _, scenario in SCENARIOS:
        rows.append((household, "members", *FIRST, "3", "", ""))
        for r in scenario["records"]:
            person = f"{household}-{r['person']}" if "person" in r else ""
            told = (r["indicator"], r["event_date"], r["known_date"], r["value"], person, r.get("until_date", ""))
            rows.append((household, *told))
    with (root / "records.csv").open("w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([HEADER, *rows])
    (receipt,) = county.intake([root / "records.csv"], today=date(2024, 6, 30))
    assert receipt.accepted == len(rows), receipt.quarantined
    return county


@pytest.fixture(scope="module")
def verdicts(county: fpml.County) -> dict[tuple[str, str, str], str]:
    """What each check says of each household, by as-of."""
    said = {}
    for as_of in sorted({s["as_of"] for _, _, s in SCENARIOS}):
        histories = county.at(as_of)
        for name, check in county.catalogue.checks.items():
            told = quality.verdict(check, histories, county.catalogue)
            words = np.select([told.found, told.judged, told.unknown], ["found", "fits", "unknown"], "outside")
            said |= {(as_of, h, name): w for h, w in zip(histories["household_id"].to_pylist(), words, strict=True)}
    return said


@pytest.mark.parametrize(
    ("household", "check", "scenario"), [pytest.param(h, c, s, id=f"{c}: {s['name']}") for h, c, s in SCENARIOS]
)
def test_scenario(
    verdicts: dict[tuple[str, str, str], str], household: str, check: str, scenario: dict[str, Any]
) -> None:
    assert verdicts[scenario["as_of"], household, check] == scenario["verdict"]


def test_every_check_has_scenarios_of_every_verdict(catalogue: Catalogue) -> None:
    told = {(check, s["verdict"]) for _, check, s in SCENARIOS}
    assert told == {(check, verdict) for check in catalogue.checks for verdict in VERDICTS}


def test_every_check_is_told_in_both_languages_with_what_to_look_at_and_whence(catalogue: Catalogue) -> None:
    assert len(catalogue.checks) == 9
    for key, check in catalogue.checks.items():
        assert all((check.name.zh, check.name.en, check.remedy.zh, check.remedy.en, check.source.strip())), key
        for condition in (*check.among, *(c for _, c in check.each())):
            assert condition.feature in catalogue.names()


def test_what_the_checks_ask_for_is_read_by_no_model(catalogue: Catalogue) -> None:
    told = {"risk_cause", "cause_noted"}
    assert not told & {catalogue.group(n) for n in catalogue.model_features()}
    assert "work_help" not in catalogue.model_features()


def test_a_finding_lists_nobody_and_hits_no_rule(county: fpml.County) -> None:
    found = county.quality("2023-06")
    assert list(found.columns) == ["household_id", "check", "sentence"]
    assert not found.duplicated(["household_id", "check"]).any()
    assert set(found["sentence"]) <= {c.name.zh for c in county.catalogue.checks.values()}
    assert set(found.attrs["remedies"]) == set(county.catalogue.checks)
    # Some of these households are hit by rules besides, most are not: what finds and what hits are told apart.
    hit = county.hits("2023-06")
    assert not set(found["check"]) & set(hit["rule"])
    assert set(found["household_id"]) - set(hit["household_id"])


def test_the_counts_are_those_of_the_rows(county: fpml.County) -> None:
    histories = county.at("2023-06")
    told = quality.summary(histories, county.catalogue)
    held = quality.findings(histories, county.catalogue)
    assert told["found"].to_dict() == {name: int(rows.sum()) for name, rows in held.items()}
    assert (told["found"] + told["unknown"] > 0).all()
    assert (told["judged"] + told["unknown"] <= histories.num_rows).all()
    counts = county.quality("2023-06").attrs["counts"]
    assert counts == told[["found", "judged", "unknown"]].to_dict("index")


def test_without_households_nothing_is_found(county: fpml.County) -> None:
    nobody = county.at("2023-06").slice(0, 0)
    told = quality.summary(nobody, county.catalogue)
    assert told["found"].tolist() == [0] * 9
    assert told["share"].isna().all()
    assert quality.by_place(nobody, county.catalogue).empty


# The policy's file


def test_a_county_without_the_file_has_no_checks(policy: Path, county: fpml.County) -> None:
    before = load(policy, policy)
    (policy / "quality.yaml").unlink()
    after = load(policy, DEFAULT_POLICY)
    assert not after.checks
    assert after.fingerprint != before.fingerprint
    assert after.meaning == before.meaning
    assert quality.findings(county.at("2023-06"), after) == {}
    assert quality.summary(county.at("2023-06"), after).empty
    assert quality.by_place(county.at("2023-06"), after).empty


def test_the_argentine_example_has_none(repository: Path) -> None:
    assert not load(repository / "examples" / "argentina" / "policy", DEFAULT_POLICY).checks


def test_another_threshold_is_another_fingerprint(policy: Path) -> None:
    before = load(policy, policy)
    path = policy / "quality.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("above: 0.25", "above: 0.3"), encoding="utf-8")
    assert load(policy, policy).fingerprint != before.fingerprint
    assert load(policy, policy).meaning == before.meaning


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("able_share,", "able_shar,", "quality.yaml @ lack_of_labour_with_able.all.0: unknown feature `able_shar`"),
        ("work_help,", "work_hlp,", "quality.yaml @ no_measure_after_listing.all.6: unknown feature `work_hlp`"),
        ("risk_cause__last__ever,", "risk_cause__lst__ever,", "quality.yaml @ illness_without_cost.among.1: unknown"),
        ("  all: [{feature: income, below: 1}]\n", "", "a check without conditions. Write `all:` or `any:`."),
        ("mark: found", "mark: fund", "Did you mean `found`?"),
        ("  remedy:", "  remdy:", "unknown key `remdy`"),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_place(policy: Path, old: str, new: str, said: str) -> None:
    path = policy / "quality.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load(policy, DEFAULT_POLICY)
    assert said in str(caught.value)


def test_faults_of_rules_and_checks_are_told_at_once(policy: Path) -> None:
    for file, old in (("quality.yaml", "able_share,"), ("rules.yaml", "savings_change,")):
        text = (policy / file).read_text(encoding="utf-8")
        (policy / file).write_text(text.replace(old, "nothing,"), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load(policy, DEFAULT_POLICY)
    assert {f.where.split(" @ ")[0] for f in caught.value.faults} == {"quality.yaml", "rules.yaml"}


# A simulated county


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., list[Path]]) -> fpml.County:
    """1,500 households over 18 months of hard times."""
    county = fpml.open(fpml.init(tmp_path_factory.mktemp("quality") / "county").root)
    county.intake(generate(county.workspace.deliveries, months=18), today=date(2024, 6, 30))
    return county


def test_a_simulated_county_has_some_findings_and_none_that_cannot_be(simulated: fpml.County) -> None:
    told = quality.summary(simulated.histories(*simulated.as_ofs()[12:]), simulated.catalogue)
    # Everybody buys drugs, and nobody is cleared while the house is unsafe.
    assert told.loc[["illness_without_cost", "cleared_house_unsafe"], "found"].tolist() == [0, 0]
    assert told.loc["illness_without_ill", "share"] < 0.6
    assert told.loc["other_without_note", "share"] < 0.6
    # Relief is paid in the month after entry, and told a month later: late of few.
    assert told.loc["no_measure_after_listing", "share"] < 0.1
    assert 0.2 < told.loc["only_income_support", "share"] < 0.8
    assert (told["judged"] > 0).all()


def standing(county: fpml.County, indicator: str, as_of: date) -> dict[str, float]:
    """Each household's value of a status in force at an as-of, in a plain loop over the records."""
    held = {}
    for r in county.records(indicator, str(as_of)[:7]).itertuples():
        event, until = pd.Timestamp(r.event_date).date(), r.until_date
        if event <= as_of and (pd.isna(until) or pd.Timestamp(until).date() >= as_of):
            held[r.household_id] = r.value
    return held


def test_the_causes_are_told_of_those_in_monitoring_and_of_nobody_else(simulated: fpml.County) -> None:
    as_of = date(2022, 6, 30)
    causes, noted = standing(simulated, "risk_cause", as_of), standing(simulated, "cause_noted", as_of)
    assert set(causes) == set(standing(simulated, "monitored", as_of))
    assert set(noted) < set(causes)
    frame = simulated.frame(simulated.at("2022-06")).set_index("household_id")
    # Of whom no cause was ever told, nobody asked for a note.
    asked = set(simulated.records("risk_cause", "2022-06")["household_id"])
    assert set(frame.index[frame["cause_noted__holding__ever"].notna()]) == asked & set(frame.index)
    watched = set(simulated.at("2022-06")["household_id"].to_pylist())
    found = simulated.quality("2022-06").query("check == 'other_without_note'")["household_id"]
    assert set(found) == {h for h, cause in causes.items() if cause == 11 and h not in noted} & watched


def test_help_with_work_is_the_most_of_what_is_known(simulated: fpml.County) -> None:
    frame = simulated.frame(simulated.at("2022-06"))
    of = ["public_post__holding__ever", "public_post__months_with__12m_1m_ago", "small_loan__count__12m"]
    for row in frame[["work_help", *of]].itertuples(index=False):
        known = [v for v in row[1:] if not pd.isna(v)]
        assert row.work_help == max(known)
    assert (frame["work_help"] > 0).any()


def test_a_township_is_its_villages_together(simulated: fpml.County) -> None:
    histories = simulated.at("2022-06")
    whole = quality.summary(histories, simulated.catalogue)
    for digits in (quality.TOWNSHIP, 12):
        told = quality.by_place(histories, simulated.catalogue, digits=digits)
        assert told.groupby("check")["found"].sum().to_dict() == whole["found"].to_dict()
        places = told.index.get_level_values("place")
        assert {len(str(p)) for p in places if p >= 0} == {digits}
        assert places.nunique() > 1
