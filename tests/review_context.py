"""A review of invented numbers: every table and column of the page, cells that are no number, hostile names."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd

from fpml.review.context import Review

HOSTILE = "</script><script>alert(1)</script>"
METHODS = ("rules", "model", "in_force")
TOWNSHIPS = [("城关镇", "Chengguan"), ("河口镇", "Hekou"), ("桃溪乡", "Taoxi"), ("白石乡", "Baishi"), ("大塘镇", "Datang"),
             ("云岭乡", "Yunling"), ("石桥镇", "Shiqiao"), ("南坪乡", "Nanping")]  # fmt: skip
TYPES = [("一般农户", "never registered"), ("脱贫户", "formerly poor"), ("已消除风险户", "cleared")]
RULES = [
    ("medical_15000", "自付医疗费1.5万元以上", "self-paid medical cost of 15,000 yuan or more", "医保", "medical insurance"),
    ("disability_new", "新办一二级残疾证", "new certificate of grade 1 or 2", "残联", "disabled persons' federation"),
    ("loan_overdue_30", "贷款逾期30天", "loan 30 days overdue", "金融机构", "banks"),
    ("loan_overdue_90", "贷款逾期90天", "loan 90 days overdue", "金融机构", "banks"),
    ("self_paid", "自付医疗费超过上年农村居民人均可支配收入", "self-paid cost above last year's rural income per head", "医保", "medical insurance"),
    ("out_of_work", "务工人员连续3个月没有工作", "out of work for 3 months", "人社", "human resources"),
    ("school_fees", "高中阶段及以上学费超过1万元", "upper-secondary or vocational fees above 10,000 yuan", "教育", "education"),
    ("water_off", "饮水中断超过1个月", "no water for more than a month", "水利", "water"),
]  # fmt: skip
PROPOSALS = [
    ("medical_12000", "自付医疗费标准由1.5万元降为1.2万元", "self-paid medical cost: 12,000 yuan instead of 15,000"),
    ("without_loans", "取消贷款逾期两条规则", "without the two rules on overdue loans"),
    ("by_township", "走访能力按户数分配到乡镇", "visits shared out among townships by their households"),
]
CAUSES = [("因病", "illness"), ("因残", "disability"), ("缺劳动力", "lack of labour"), ("务工不稳", "unstable work")]
GROUPINGS = [
    (("乡镇", "township"), TOWNSHIPS),
    (("户类型", "household type"), TYPES),
    (("户主年龄", "age of head"), [("60岁以下", "under 60"), ("60岁及以上", "60 and over")]),
]


def spread(draw: np.random.Generator, name: str, value: float, wide: float = 0.2) -> dict[str, float]:
    """A number and an interval around it."""
    half = abs(value) * wide * float(draw.uniform(0.5, 1.5)) + 1e-3
    return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}


def nothing(name: str) -> dict[str, float]:
    """A number that nobody can tell."""
    return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)


def two(name: str, words: tuple[str, str]) -> dict[str, str]:
    """A name in both languages."""
    return {f"{name}_zh": words[0], f"{name}_en": words[1]}


def a_review(*, villages: int = 400, simulated: bool = True, hostile: bool = False, seed: int = 1) -> Review:
    """A review of invented, seeded numbers; `hostile`: names that try to be markup."""
    draw = np.random.default_rng(seed)
    towns = [(HOSTILE, HOSTILE), *TOWNSHIPS[1:]] if hostile else TOWNSHIPS
    tables = {
        "corners": _corners(draw, towns),
        "capacity": _capacity(draw),
        "months": _months(draw),
        "lead": _lead(draw),
        "rules": _rules(draw),
        "duplicates": pd.DataFrame(
            [{**two("rule", RULES[3][1:3]), **two("other", RULES[2][1:3]), "shared": 812, "share_of_rule": 0.97, "share_of_other": 0.41}]
        ),
        "what_if": _what_if(draw),
        "what_if_groups": _what_if_groups(draw),
        "groups": _groups(draw),
        "bands": _bands(draw),
        "townships": _places(draw, [(f"36012110{n}", zh, en) for n, (zh, en) in enumerate(towns)], 400),
        "villages": _places(draw, [(f"36012110{n % 8}{n:03}", f"36012110{n % 8}{n:03}", f"36012110{n % 8}{n:03}") for n in range(villages)], 20),
    }  # fmt: skip
    return Review(_about(simulated, villages), _figures(draw), tables, _cases(draw, HOSTILE if hostile else ""))


def an_empty_review() -> Review:
    """A review of months in which nothing happened: every table without a row, no figure a number."""
    full = a_review(villages=1)
    nothing_known = full.figures.assign(estimate=np.nan, low=np.nan, high=np.nan)
    tables = {k: f.iloc[:0] for k, f in full.tables.items()} | {"what_if": pd.DataFrame()}
    return Review(full.about, nothing_known, tables, full.cases.iloc[:0])


def _about(simulated: bool, villages: int) -> dict[str, object]:
    return {
        "county_zh": "模拟县" if simulated else "某县", "county_en": "Simulated County" if simulated else "a county",
        "simulated": simulated, "truth": simulated, "as_of": "2023-12", "first": "2022-01", "last": "2023-12",
        "as_ofs": 24, "asked": 24, "before": 15, "before_with_model": 3, "households": 52_310, "villages": villages, "falls": 1_204, "visits": 300, "horizon": 6,
        "draws": 200, "audited": 0 if simulated else 1_700, "policy": "9f2c1ab07d41", "ledger": 36,
        "models": {"new_poverty": "3 (2023-06)", "relapse": "2 (2023-06)"},
    }  # fmt: skip


def _figures(draw: np.random.Generator) -> pd.DataFrame:
    told = {
        "watched": (48_211, "count", ""), "visits_rules": (287.4, "count", ""), "visits_model": (287.4, "count", ""),
        "visits_in_force": (298.9, "count", ""), "falls": (1_204, "count", ""), "found_rules": (0.312, "share", ""),
        "found_model": (0.427, "share", ""), "found_in_force": (0.451, "share", ""), "found_ratio": (1.37, "ratio", ""),
        "lead_rules": (1.6, "months", ""), "lead_model": (2.7, "months", ""), "lead_gain": (1.1, "months", ""),
        "precision_rules": (0.048, "share", ""), "precision_model": (0.071, "share", ""),
        "detected_rules": (0.012, "share", ""), "detected_model": (0.009, "share", ""),
        "never_seen_by_rules": (0.551, "share", ""), "both": (0.21, "share", "both"),
        "rule_only": (0.10, "share", "rule"), "model_only": (0.22, "share", "model"),
    }  # fmt: skip
    rows = []
    for key, (value, kind, cases) in told.items():
        known = key not in ("watched", "falls", "visits_model")
        low, high = tuple(spread(draw, "x", value, 0.1).values())[1:] if known else (np.nan, np.nan)
        rows.append((value, low, high, kind, cases))
    return pd.DataFrame(rows, columns=["estimate", "low", "high", "kind", "cases"], index=list(told))


def _corners(draw: np.random.Generator, towns: list[tuple[str, str]]) -> pd.DataFrame:
    departments = list(dict.fromkeys(r[3:5] for r in RULES))
    splits = {"all": [("全部", "all")], "cause": CAUSES, "household_type": TYPES, "township": towns,
              "department": departments, "rule": [r[1:3] for r in RULES]}  # fmt: skip
    base = {
        "both": (900, 0.22, 0.11),
        "rule": (5_800, 0.06, 0.03),
        "model": (5_900, 0.13, 0.05),
        "neither": (1_150_000, 0.02, 0.002),
    }
    rows = []
    for split, groups in splits.items():
        for group, (corner, (n, confirmed, fell)) in product(groups, base.items()):
            part = n // len(groups)
            visited = min(part, 40) if corner in ("model", "neither") else part // 2
            rows.append(
                {
                    "split": split, **two("group", group), "corner": corner, "household_months": part,
                    "households": part // 2, "visited": visited, "confirmed": int(visited * confirmed),
                    **(spread(draw, "confirmed_share", confirmed) if split != "rule" else nothing("confirmed_share")),
                    "known": part // 2, "fell": int(part * fell / 2), **spread(draw, "fell_share", fell),
                    **(spread(draw, "audit_fell_share", fell) if split == "all" else nothing("audit_fell_share")),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _capacity(draw: np.random.Generator) -> pd.DataFrame:
    shares = {"all_rules": 0.9, "model": 1.2, "in_force": 1.25}
    return pd.DataFrame(
        {
            "visits": visits, "method": method,
            **spread(draw, "found", shares[method] * visits**0.5 / 60, 0.12),
            **spread(draw, "lead", shares[method] * visits**0.4 / 5), **spread(draw, "precision", shares[method] / visits**0.5),
            **spread(draw, "detected", shares[method] / visits),
        }
        for visits in (100, 300, 600, 1_000) for method in shares
    )  # fmt: skip


def _months(draw: np.random.Generator) -> pd.DataFrame:
    months = [f"{year}-{month:02}" for year in (2022, 2023) for month in range(1, 13)]
    falls = draw.poisson(50, 24)
    visits = draw.normal(287, 25, 24).round().astype(int)
    return pd.DataFrame(
        {
            "as_of": months, "rules": visits, "model": visits + draw.integers(-12, 12, 24),
            "both": (visits * 0.18).astype(int), "in_force": draw.integers(290, 301, 24), "falls": falls,
            "found_rules": (falls * 0.31).astype(int), "found_in_force": (falls * 0.45).astype(int),
        }
    )  # fmt: skip


def _lead(draw: np.random.Generator) -> pd.DataFrame:
    rows = []
    for event, method in product(("fall", "identified", "first_rule_hit"), METHODS):
        if event == "first_rule_hit" and method != "model":
            continue
        lead = float(draw.uniform(1, 4))
        median = np.nan if event == "first_rule_hit" else 5.0
        rows.append({"method": method, "event": event, "events": int(draw.integers(200, 1300)),
                     **spread(draw, "found", float(draw.uniform(0.2, 0.5))), **spread(draw, "lead", lead),
                     "median_lead": median})  # fmt: skip
    return pd.DataFrame(rows)


def _rules(draw: np.random.Generator) -> pd.DataFrame:
    rows = []
    for n, (rule, zh, en, department, department_en) in enumerate(RULES):
        fires = n < len(RULES) - 1
        hits = int(draw.integers(50, 4_000)) if fires else 0
        found = hits // 20
        known = (lambda name, value: spread(draw, name, value)) if fires else (lambda name, value: nothing(name))
        rows.append(
            {
                "rule": rule, **two("rule", (zh, en)), **two("department", (department, department_en)),
                "channel": "department", "severity": ("high", "middle", "low")[n % 3], "pushes": n % 3 < 2,
                "hits": hits, "households": hits // 2, "visits": hits // 3, "found": found,
                **known("precision", float(draw.uniform(0.01, 0.15))), **known("detected", 0.01), **known("recall", found / 1204),
                "only_this": found // 3, "visits_per_found": hits / 3 / found if found else np.nan, "fires": fires,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _what_if(draw: np.random.Generator) -> pd.DataFrame:
    now = {"visits": 298.9, "found": 0.451, "missed": 661.0, "lead": 2.8, "precision": 0.062}
    rows = []
    for (name, *words), (figure, value) in product(PROPOSALS, now.items()):
        change = value * float(draw.normal(0, 0.06))
        rows.append({"figure": figure, "now": value, "then": value + change, **spread(draw, "difference", change, 0.8),
                     "proposal": name, **two("proposal", (words[0], words[1]))})  # fmt: skip
    return pd.DataFrame(rows)


def _grouped() -> Iterator[dict[str, str]]:
    for grouping, groups in GROUPINGS:
        yield from ({**two("grouping", grouping), **two("group", group)} for group in groups)


def _what_if_groups(draw: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {**two("proposal", (p[1], p[2])), **group, "found_now": 0.45, "found_then": 0.46,
         **spread(draw, "difference", float(draw.normal(0, 0.02)), 0.8)}
        for p, group in product(PROPOSALS, _grouped())
    )  # fmt: skip


def _groups(draw: np.random.Generator) -> pd.DataFrame:
    rows = []
    for n, group in enumerate(_grouped()):
        rows.append(
            {
                **group, "households": int(draw.integers(900, 20_000)), "falls": int(draw.integers(5, 500)),
                **spread(draw, "found_rules", 0.31), **spread(draw, "found_model", 0.43), "near_cut": 400 + n,
                **spread(draw, "near_cut_confirmed_share", 0.08), "audit_finds": n,
                **(spread(draw, "recall", 0.44) if n >= 10 else nothing("recall")),
                **spread(draw, "gap", float(draw.normal(0, 0.05)), 0.8), "testable": n % 2 == 0, "supported": n % 4 == 0,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _bands(draw: np.random.Generator) -> pd.DataFrame:
    rows = []
    for group, (band, expected) in product(
        _grouped(), {"0%-50%": 20, "50%-90%": 60, "90%-99%": 90, "99%-100%": 70}.items()
    ):
        ratio = float(np.exp(draw.normal(0, 0.2)))
        rows.append({**group, "band": band, "rows": 4_000, "expected": expected * 1.0, "observed": int(expected / ratio),
                     **(spread(draw, "ratio", ratio) if expected > 20 or "type" in group["grouping_en"] else nothing("ratio"))})  # fmt: skip
    return pd.DataFrame(rows)


def _places(draw: np.random.Generator, named: list[tuple[str, str, str]], size: int) -> pd.DataFrame:
    rows = []
    for n, (code, zh, en) in enumerate(named):
        listed = int(draw.integers(0, size * 2))
        verified = int(listed * draw.uniform(0.3, 0.95))
        confirmed = int(verified * draw.uniform(0.02, 0.3))
        colour = ("", "", "yellow", "", "red", "")[n % 6]
        rows.append(
            {
                "code": code, **two("name", (zh, en)), "households": int(draw.integers(size, size * 30)),
                "monitored": int(draw.integers(0, size)), "listed": listed, "verified": verified,
                "on_time": int(verified * 0.8), "overdue": listed - int(verified * 0.8), "confirmed": confirmed,
                **(spread(draw, "confirmed_share", confirmed / verified) if verified else nothing("confirmed_share")),
                "identified": int(draw.integers(0, 9)), "colour": colour,
                "why_zh": {"": "", "yellow": "推送多、核实属实少", "red": "超期未核实较多"}[colour],
                "why_en": {"": "", "yellow": "many listed and few confirmed", "red": "many not verified in time"}[colour],
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _cases(draw: np.random.Generator, evil: str) -> pd.DataFrame:
    rows = []
    for n, corner in product(range(12), ("rule", "model", "both")):
        rows.append(
            (
                f"360121-{n:02}{corner[0]}{draw.integers(1000, 9999)}", f"2023-{n % 12 + 1:02}", "360121103", f"360121103{n:03}",
                corner, "fell", int(draw.integers(1, 12)),
                f"没有触发规则；最接近的是“自付医疗费1.5万元以上”：12,300元，标准15,000元。{evil}\n"
                "模型估计未来6个月内致贫返贫的可能性为4.1%，当月排第112位（走访能力300户）。\n"
                "推高估计的：过去12个月务工收入合计8,200元；自付医疗费（过去12个月合计）12,300元。\n降低估计的：有土地流转收入。",
                f"No rule hit; the closest was “self-paid medical cost”: 12,300 yuan against 15,000. {evil}\n"
                "The model put a fall within 6 months at 4.1%: place 112 that month, 300 visits.\n"
                "Raised by: wages of 8,200 yuan in the last 12 months; self-paid medical cost of 12,300 yuan.\n"
                "Lowered by: income from leased land.",
            )
        )  # fmt: skip
    columns = ["household", "as_of", "township", "village", "corner", "outcome", "lead", "why_zh", "why_en"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.loc[3, "lead"] = np.nan
    return frame
