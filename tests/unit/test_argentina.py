"""The Argentine example on an invented quarter: its files become records, and records the state that INDEC defines."""

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import panel
import prepare
import pyarrow.compute as pc
import pytest

import fpml
from fpml.errors import FpmlError
from fpml.features import natural
from fpml.outcomes import labels
from fpml.workspace import DEFAULT_POLICY

HERE = Path(__file__).parents[2] / "examples" / "argentina"
HOUSEHOLD = [
    "IV1", "IV3", "IV4", "IV5", "IV6", "IV7", "IV10", "IV11", "IV12_1", "IV12_2", "IV12_3", "II1", "II2", "II3",
    "II4_2", "II4_3", "II7", "II8", "II9", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V10", "V11", "V12",
    "V13", "V14", "V15", "V16", "V17", "V18", "VII1_1", "IX_TOT",
]  # fmt: skip
PERSON = [
    "CH03", "CH04", "CH06", "CH07", "CH08", "CH10", "NIVEL_ED", "ESTADO", "CAT_OCUP", "INTENSI", "PP3E_TOT",
    "PP3F_TOT", "PP04A", "PP04B_COD", "PP04C", "PP04D_COD", "PP07A", "PP07C", "PP07H", "P21", "TOT_P12", "P47T",
    "V2_M", "V3_M", "V4_M", "V5_M", "V8_M", "V9_M", "V10_M", "V11_M", "V12_M", "V18_M", "V19_AM", "V21_M",
    "T_VI",
]  # fmt: skip


def household(code: str, **answers: object) -> dict[str, object]:
    plain: dict[str, object] = dict.fromkeys(HOUSEHOLD, 2) | {"CODUSU": code, "NRO_HOGAR": 1, "REALIZADA": 1}
    return plain | {"REGION": 1, "AGLOMERADO": 33, "MAS_500": "S", "ITF": 0, "DECIFR": 5, "PONDIH": 100} | answers


def person(code: str, number: int, **answers: object) -> dict[str, object]:
    plain: dict[str, object] = dict.fromkeys(PERSON, 0) | {"CODUSU": code, "NRO_HOGAR": 1, "COMPONENTE": number}
    return (
        plain
        | {"CH03": 1 if number == 1 else 3, "CH04": 1, "CH06": 40, "CH08": 1, "ESTADO": 1, "CAT_OCUP": 3}
        | answers
    )


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> fpml.County:
    """Household a (a man of 40 and a child of 5) in two quarters, b with its income not given, c poor."""
    panel = tmp_path_factory.mktemp("panel")
    for quarter, income in (("2017T1", 20_000), ("2017T2", 3_000)):
        rows = [
            household("a", ITF=income, V5=1, V13=1),
            household("b", DECIFR=12, PONDIH=0),
            household("c", ITF=1_000),
            household("d", REALIZADA=0),
        ]
        people = [
            person("a", 1, P21=income, PP07H=1, V5_M=500),
            person("a", 2, CH06=5, ESTADO=4, CAT_OCUP=0, CH08=4),
            person("b", 1, P21=-9),
            person("c", 1, P21=1_000, PP07H=2),
            person("d", 1),
        ]
        pd.DataFrame(rows).to_parquet(panel / f"households_{quarter}.parquet")
        pd.DataFrame(people).to_parquet(panel / f"persons_{quarter}.parquet")
    root = tmp_path_factory.mktemp("argentina")
    for name in ("policy", "models"):
        shutil.copytree(HERE / name, root / name)
    fpml.init(root)
    made = fpml.open(root)
    receipts = made.intake(prepare.deliver(panel, made.workspace.deliveries, q) for q in prepare.quarters(panel))
    assert all(not r.quarantined for r in receipts)
    return made


def test_a_workspace_of_another_policy_gets_models_of_its_outcomes_alone(county: fpml.County) -> None:
    assert county.model_names() == ("new_poverty", "relapse")
    assert [county.definition(m).outcome for m in county.model_names()] == ["new_poverty", "relapse"]
    beside = fpml.init(county.workspace.root / "beside").root
    assert fpml.open(beside).model_names() == ("new_poverty", "relapse", "renewed")


@pytest.mark.parametrize("faulty", ["outcomes: [", "outcomes: 3", "- a list", ""])
def test_a_policy_that_cannot_be_read_keeps_no_workspace_from_being_finished(tmp_path: Path, faulty: str) -> None:
    shutil.copytree(DEFAULT_POLICY, tmp_path / "policy")
    (tmp_path / "policy" / "county.yaml").write_text(faulty, encoding="utf-8")
    space = fpml.init(tmp_path)
    assert sorted(p.stem for p in space.definitions.glob("*.yaml")) == ["new_poverty", "relapse", "renewed"]
    with pytest.raises(FpmlError, match=r"county\.yaml"):
        fpml.open(tmp_path)


def told(county: fpml.County, as_of: str, feature: str) -> dict[str, float]:
    histories = county.at(as_of)
    values = natural(histories, feature, county.catalogue)
    return dict(zip(histories["household_id"].to_pylist(), values.tolist(), strict=True))


def test_income_is_held_against_the_basket_of_the_quarter_and_the_adult_equivalents(county: fpml.County) -> None:
    steps = county.catalogue.county.line.values["1"]
    basket = float(next(s.value for s in reversed(steps) if s.from_ <= date(2017, 3, 31)))
    got = told(county, "2017-03", "income_to_line")
    assert got["a_1"] == pytest.approx(20_000 / (basket * (1.00 + 0.60)), rel=1e-6)
    assert got["c_1"] == pytest.approx(1_000 / basket, rel=1e-6)
    assert "d_1" not in got


def test_an_income_not_given_is_unknown_and_no_label(county: fpml.County) -> None:
    assert str(told(county, "2017-03", "income_to_line")["b_1"]) == "nan"
    histories = county.histories("2017-03", "2017-06")
    label = labels(county.catalogue.county.outcomes["new_poverty"], histories, county.catalogue, 3)
    first = pc.equal(histories["as_of"], date(2017, 3, 31)).to_numpy()
    by = dict(zip(histories["household_id"].filter(first).to_pylist(), label[first].tolist(), strict=True))
    assert by == {"a_1": 1, "b_1": -1, "c_1": 1}


def test_no_record_of_aid_means_no_aid_only_where_somebody_asked(county: fpml.County) -> None:
    assert told(county, "2017-03", "aid__sum__3m") == {"a_1": 500, "b_1": 0, "c_1": 0}
    assert told(county, "2017-03", "savings_spent__last__3m") == {"a_1": 1, "b_1": 0, "c_1": 0}
    before = told(county, "2017-03", "works_before")
    assert all(str(v) == "nan" for v in before.values())


def test_the_earlier_interview_is_seen_from_the_next(county: fpml.County) -> None:
    assert told(county, "2017-06", "income_before")["a_1"] == told(county, "2017-03", "income_to_line")["a_1"]
    assert told(county, "2017-06", "lowest_income_before")["c_1"] < 1


def test_refusal_codes_never_become_incomes(county: fpml.County) -> None:
    assert told(county, "2017-03", "labour_income__sum__3m")["b_1"] == 0
    assert told(county, "2017-03", "income_refused__count__3m")["b_1"] == 1


def test_at_least_forty_indicators_are_told(county: fpml.County) -> None:
    assert len(county.catalogue.indicators) >= 40


def test_the_season_is_told_to_the_model(county: fpml.County) -> None:
    assert set(told(county, "2017-06", "season").values()) == {6}
    assert "season" in county.definition("new_poverty").features(county.catalogue)


def test_a_crisis_between_the_split_s_sides_raises_the_alarm_at_its_horizon_alone() -> None:
    rng, rows = np.random.default_rng(0), 8_000
    frame = pd.DataFrame({"horizon": rng.choice([1, 4], rows), "agglomeration": rng.integers(2, 34, rows)})
    learnt = frame.assign(poor_then=rng.random(rows) < 0.1)
    now = frame.assign(poor_then=rng.random(rows) < np.where(frame["horizon"] == 4, 0.2, 0.1), probability=0.1)
    got = panel.shifts(learnt, now)
    assert {months: shift.raised for months, shift in got.items()} == {3: False, 12: True}
