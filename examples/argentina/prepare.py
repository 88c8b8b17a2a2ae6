"""Argentina's household survey (EPH) -> one delivery of dated records a quarter.

    python prepare.py PANEL DELIVERIES

PANEL holds households_YYYYTQ.parquet and persons_YYYYTQ.parquet as INDEC publishes them. An answer is an event in the
middle of its quarter, known at the quarter's end. Only what was answered becomes a record: `interviewed` says that
somebody asked, so that no record of aid then means no aid. Codes are those of INDEC's "Diseño de registro".
"""

import calendar
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
Column = tuple[str, pd.Index, Floats]

# INDEC's adult equivalents by age, men and women (Canasta básica, Metodología 22): one man of 30 to 60 is 1.
_CHILD = [0.35, 0.37, 0.46, 0.51, 0.55, 0.60, 0.64, 0.66, 0.68, 0.69]
_MEN = [*_CHILD, 0.79, 0.82, 0.85, 0.90, 0.96, 1.00, 1.03, 1.04, *[1.02] * 12, *[1.00] * 31, *[0.83] * 15, *[0.74] * 35]
_WOMEN = [*_CHILD, 0.70, 0.72, 0.74, 0.76, 0.76, 0.77, 0.77, 0.77, *[0.76] * 12, *[0.77] * 16, *[0.76] * 15,
          *[0.67] * 15, *[0.63] * 35]  # fmt: skip

# How the household got by in these three months: 1 is yes.
STRATEGIES = {
    "V1": "lives_on_work", "V2": "lives_on_pension", "V3": "lives_on_severance", "V4": "lives_on_dole",
    "V5": "aid_in_money", "V6": "aid_in_kind", "V7": "aid_from_family", "V8": "lives_on_rent",
    "V10": "lives_on_interest", "V11": "lives_on_scholarship", "V12": "money_from_others", "V13": "savings_spent",
    "V14": "borrowed_from_family", "V15": "borrowed_from_bank", "V16": "bought_on_credit", "V17": "belongings_sold",
    "V18": "other_cash",
}  # fmt: skip


def quarters(panel: Path) -> list[str]:
    """The quarters of which both files are there, in order."""
    names = [
        m[1] for p in panel.glob("households_*.parquet") if (m := re.fullmatch(r"households_(\d{4}T[1-4])", p.stem))
    ]
    return sorted(q for q in names if (panel / f"persons_{q}.parquet").is_file())


def quarter_end(quarter: str) -> date:
    """The last day of a quarter such as 2018T3."""
    year, month = int(quarter[:4]), 3 * int(quarter[-1])
    return date(year, month, calendar.monthrange(year, month)[1])


def prepare(panel: Path, quarter: str) -> pa.Table:
    """The delivery of one quarter: household_id, person_id, indicator, event_date, known_date, value."""
    households = pd.read_parquet(panel / f"households_{quarter}.parquet")
    households = households[households["REALIZADA"] == 1]
    households.index = pd.Index(_household_id(households), name="household_id")
    households = households[~households.index.duplicated()]
    people = pd.read_parquet(panel / f"persons_{quarter}.parquet")
    people = people.assign(household_id=_household_id(people))
    people = people[people["household_id"].isin(households.index)]
    people = people.drop_duplicates(["household_id", "COMPONENTE"]).reset_index(drop=True)
    parts = [_table(*column, people) for column in _personal(people)]
    parts += [_table(*column, None) for column in _of_head(people)]
    parts += [_table(*column, None) for column in _of_household(households)]
    end = quarter_end(quarter)
    table = pa.concat_tables(parts).unify_dictionaries()
    table = table.append_column("event_date", pa.array([date(end.year, end.month - 1, 15)] * len(table), pa.date32()))
    return table.append_column("known_date", pa.array([end] * len(table), pa.date32()))


def _household_id(frame: pd.DataFrame) -> pd.Series:
    return frame["CODUSU"].astype(str) + "_" + frame["NRO_HOGAR"].astype(str)


def _table(indicator: str, rows: pd.Index, value: Floats, people: pd.DataFrame | None) -> pa.Table:
    if people is None:
        household, person = rows.to_numpy(), pa.nulls(len(rows), pa.string())
    else:
        told = people.loc[rows]
        household = told["household_id"].to_numpy()
        person = pa.array(told["household_id"] + "_" + told["COMPONENTE"].astype(str), pa.string())
    return pa.table(
        {
            "household_id": pa.array(household, pa.string()),
            "person_id": person,
            "indicator": pa.array([indicator] * len(rows), pa.string()).dictionary_encode(),
            "value": pa.array(value, pa.float64()),
        }
    )


def _yes(name: str, mask: pd.Series) -> Column:
    """An event for each row where something holds."""
    rows = mask.index[mask.fillna(False).to_numpy(bool)]
    return name, rows, np.ones(len(rows))


def _number(name: str, value: pd.Series, *, positive: bool = False) -> Column:
    """A value for each row that has one; `positive`: only what is above zero (minus codes mean no answer)."""
    kept = value[value.notna() & ((value > 0) if positive else True)].astype(float)
    return name, kept.index, kept.to_numpy()


def _personal(p: pd.DataFrame) -> Iterator[Column]:
    """What was asked of every person."""
    n = p.drop(columns=["CODUSU", "household_id"]).astype("Float64").astype("float64")
    age = n["CH06"].clip(0, 107).fillna(30).astype(int)
    men, women = np.array(_MEN), np.array(_WOMEN)
    equivalents = pd.Series(np.where(n["CH04"] == 1, men[age], women[age]), p.index)
    yield _number("adult_equivalents", equivalents)
    for name, low, high in (("small_child", 0, 5), ("child", 0, 14), ("adolescent", 15, 17), ("young_adult", 18, 24),
                            ("working_age", 15, 64), ("adult", 18, 120), ("elder", 65, 120)):  # fmt: skip
        yield _yes(name, age.between(low, high))
    yield _yes("woman", (n["CH04"] == 2) & (age >= 15))
    level = n["NIVEL_ED"].map({7: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6})
    yield _number("schooling", level[(age >= 25) | (n["CH03"] == 1)])
    yield _yes("secondary_school_done", (level >= 4) & (age >= 18))
    yield _yes("university_done", (level >= 6) & (age >= 25))
    yield _yes("not_at_school", (n["CH10"] != 1) & age.between(14, 18))
    cover = n["CH08"]
    yield _yes("no_health_cover", cover == 4)
    yield _yes("work_health_cover", cover.isin([1, 12, 13, 123]))
    yield _yes("private_health_cover", cover.isin([2, 12, 13, 23, 123]))

    works = n["ESTADO"] == 1
    employee = works & (n["CAT_OCUP"] == 3)
    formal, informal = employee & (n["PP07H"] == 1), employee & (n["PP07H"] == 2)
    own_account = works & (n["CAT_OCUP"] == 2)
    public = works & (n["PP04A"] == 1)
    branch = n["PP04B_COD"]
    states = {
        "works": works,
        "unemployed": n["ESTADO"] == 2,
        "inactive": (n["ESTADO"] == 3) & age.between(18, 64),
        "formal_job": formal,
        "informal_job": informal,
        "own_account": own_account,
        "employer": works & (n["CAT_OCUP"] == 1),
        "unpaid_family_work": works & (n["CAT_OCUP"] == 4),
        "public_job": public,
        "domestic_service": works & ((branch // 100 == 97) | (branch == 97)),
        "construction": works & ((branch // 100 == 40) | (branch == 40)),
        "wants_more_hours": works & (n["INTENSI"] == 1),
        "long_hours": works & (n["INTENSI"] == 3),
        "did_not_work_that_week": works & (n["INTENSI"] == 4),
        "temporary_job": works & (n["PP07C"] == 1),
        "new_in_job": works & n["PP07A"].isin([1, 2, 3]),
        "years_in_job": works & (n["PP07A"] == 6),
        "small_firm": works & n["PP04C"].between(1, 5),
        "large_firm": works & n["PP04C"].between(9, 12),
        "unskilled_work": works & (n["PP04D_COD"] % 10 == 4),
        "skilled_work": works & (n["PP04D_COD"] % 10).isin([1, 2]),
    }
    for name, mask in states.items():
        yield _yes(name, mask)
    hours = n["PP3E_TOT"].where(n["PP3E_TOT"].between(0, 167)).fillna(0)
    yield _number("hours_worked", hours.where(works), positive=True)
    second = n["PP3F_TOT"].where(n["PP3F_TOT"].between(0, 167))
    yield _number("hours_second_job", second.where(works), positive=True)

    def pesos(*columns: str) -> pd.Series:
        return sum((n[c].fillna(0).clip(lower=0) for c in columns), pd.Series(0.0, p.index))

    labour = pesos("P21", "TOT_P12")
    amounts = {
        "labour_income": labour,
        "formal_income": labour.where(formal),
        "informal_income": labour.where(informal),
        "own_account_income": labour.where(own_account),
        "public_income": labour.where(public),
        "secure_income": labour.where(formal | public, 0) + pesos("V2_M"),
        "second_job_income": pesos("TOT_P12"),
        "pension": pesos("V2_M"),
        "aid": pesos("V5_M"),
        "scholarship": pesos("V11_M"),
        "money_received": pesos("V12_M"),
        "property_income": pesos("V8_M", "V9_M", "V10_M"),
        "other_transfers": pesos("V3_M", "V4_M", "V18_M", "V19_AM"),
        "bonus": pesos("V21_M"),
        "non_labour_income": pesos("T_VI"),
        "person_income": labour + pesos("T_VI"),
    }
    for name, amount in amounts.items():
        yield _number(name, amount, positive=True)
    yield _yes("income_refused", (n["P21"] == -9) | (n["T_VI"] == -9) | (n["P47T"] == -9))


def _of_head(p: pd.DataFrame) -> Iterator[Column]:
    """What the household's head and the head's partner are and do."""
    levels = {7: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}
    numeric = p.drop(columns=["CODUSU", "household_id"]).astype("Float64").astype("float64")
    numeric["household_id"] = p["household_id"]
    head = numeric[numeric["CH03"] == 1].drop_duplicates("household_id").set_index("household_id")
    partner = numeric[numeric["CH03"] == 2].drop_duplicates("household_id").set_index("household_id")
    works = head["ESTADO"] == 1
    yield _number("head_age", head["CH06"].clip(lower=0))
    yield _yes("head_is_woman", head["CH04"] == 2)
    yield _number("head_schooling", head["NIVEL_ED"].map(levels))
    yield _number("head_activity", head["ESTADO"].where(head["ESTADO"].between(1, 4)))
    yield _number("head_marital_state", head["CH07"].where(head["CH07"].between(1, 5)))
    yield _yes("head_works", works)
    yield _yes("head_formal", works & (head["PP07H"] == 1))
    yield _yes("head_informal", works & (head["PP07H"] == 2))
    yield _yes("head_own_account", works & (head["CAT_OCUP"] == 2))
    yield _yes("head_no_health_cover", head["CH08"] == 4)
    yield _number("head_tenure", head["PP07A"].where(head["PP07A"].between(1, 6)))
    yield _number("head_skill", (head["PP04D_COD"] % 10).where(works & (head["PP04D_COD"] % 10).between(1, 4)))
    yield _number("head_hours", head["PP3E_TOT"].where(works & head["PP3E_TOT"].between(0, 167)))
    yield _number("head_firm_size", head["PP04C"].where(head["PP04C"].between(1, 12)))
    yield _number("head_labour_income", head["P21"].where(head["P21"] > 0))
    yield _yes("partner", pd.Series(True, partner.index))
    yield _yes("partner_works", partner["ESTADO"] == 1)
    yield _number("partner_schooling", partner["NIVEL_ED"].map(levels))
    yield _number("partner_labour_income", partner["P21"].where(partner["P21"] > 0))


def _of_household(h: pd.DataFrame) -> Iterator[Column]:
    """What was asked of the household: its income, how it got by, and its dwelling."""
    yield _yes("interviewed", pd.Series(True, h.index))
    yield _number("region", h["REGION"])
    yield _number("agglomeration", h["AGLOMERADO"])
    yield _number("people", h["IX_TOT"])
    given = ~h["DECIFR"].isin([12, 13]) & (h["PONDIH"] > 0)
    yield _number("income_total", h["ITF"].where(given))
    yield _yes("income_not_given", ~given)
    yield _yes("large_city", h["MAS_500"] == "S")
    for column, name in STRATEGIES.items():
        yield _yes(name, h[column] == 1)
    yield _yes("domestic_help", h["VII1_1"] == 96)
    yield _number("rooms", h["II1"].where(h["II1"].between(1, 50)))
    yield _number("bedrooms", h["II2"].where(h["II2"].between(1, 50)))
    yield _yes("rents", h["II7"] == 3)
    yield _yes("owns_dwelling", h["II7"] == 1)
    yield _yes("insecure_tenure", h["II7"].isin([2, 4, 5, 6, 7, 8, 9]))
    yield _yes("bottled_gas_or_wood", h["II8"] != 1)
    yield _yes("bathroom_shared_or_none", h["II9"] != 1)
    yield _yes("flat", h["IV1"] == 2)
    yield _yes("poor_floor", h["IV3"].isin([2, 3, 4]))
    yield _yes("poor_roof", h["IV4"].isin([3, 4, 5, 6, 7]))
    yield _number("roof", h["IV4"].where(h["IV4"].between(1, 7)))
    yield _yes("no_ceiling", h["IV5"] == 2)
    yield _yes("water_outside", h["IV6"] != 1)
    yield _yes("no_water_network", h["IV7"] != 1)
    yield _yes("no_flush", h["IV10"] != 1)
    yield _yes("no_sewer", h["IV11"] != 1)
    yield _yes("near_dump", h["IV12_1"] == 1)
    yield _yes("floods", h["IV12_2"] == 1)
    yield _yes("shanty_town", h["IV12_3"] == 1)
    yield _yes("workroom", h["II3"] == 1)
    yield _yes("laundry", h["II4_2"] == 1)
    yield _yes("garage", h["II4_3"] == 1)


def deliver(panel: Path, deliveries: Path, quarter: str) -> Path:
    """Writes one quarter's delivery, whole or not at all, unless it is there already; returns its path."""
    deliveries.mkdir(parents=True, exist_ok=True)
    path = deliveries / f"{quarter}.parquet"
    if not path.exists():
        half = path.with_suffix(".part")
        pq.write_table(prepare(panel, quarter), half)
        half.replace(path)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    if not quarters(source):
        sys.exit(f"{source}: no households_YYYYTQ.parquet with its persons file. Say where the panel lies.")
    for each in quarters(source):
        deliver(source, target, each)
