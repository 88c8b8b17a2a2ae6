"""Every number of a review equals a recount in pandas and plain loops (`recount.py`), on a small simulated county."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from recount import Recount

import fpml
from fpml.cli import main
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError
from fpml.review import Review, Study

DRAWS, LAST, MONTHS = 6, "2023-04", 9
CORNERS = {(True, True): "both", (True, False): "rule", (False, True): "model", (False, False): "neither"}


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> fpml.County:
    """2,500 simulated households over 40 months, with a model learnt half-way: before it there are no scores."""
    root = tmp_path_factory.mktemp("review") / "county"
    fpml.init(root)
    policy = root / "policy" / "county.yaml"
    wanted = yaml.safe_load(policy.read_text(encoding="utf-8")) | {"visits": 30}
    policy.write_text(yaml.safe_dump(wanted, allow_unicode=True, sort_keys=False), encoding="utf-8")
    here = ["--workspace", str(root), "--quiet"]
    grow = [
        "simulate",
        "--profile",
        "baoshan",
        "--households",
        "2500",
        "--months",
        "40",
        "--seed",
        "5",
        "--base-rate",
        "1.45",
    ]
    for command in ([*grow, *here], ["intake", *here], ["train", "new_poverty", "--as-of", "2022-10", *here]):
        assert main(command) == 0
    return fpml.open(root)


@pytest.fixture(scope="module")
def study(county: fpml.County) -> Study:
    audit = pd.DataFrame(_audit(county))
    return county.study(LAST, months=MONTHS, times=DRAWS, audit=audit)


@pytest.fixture(scope="module")
def review(county: fpml.County, study: Study) -> Review:
    return county.lookback.review(study)


@pytest.fixture(scope="module")
def recount(county: fpml.County, study: Study) -> Recount:
    """The same months once more. Of the review itself it takes only which villages each draw has."""
    codes = study.sides.panel.villages[0].tolist()
    times = [dict(zip(codes, row, strict=True)) for row in study.sides.draws.times.tolist()]
    last = AsOf.parse(LAST)
    told = Recount(county, [last.shift(-n) for n in reversed(range(MONTHS))], times)
    nobody = pd.Series(False, index=told.rows.index)
    scored = told.rows.score.notna()
    told.walk("rules", told.rows.hit, nobody, lambda d, m: 0)
    told.walk("model", nobody, scored, lambda d, m: told.visits("rules", d, m))
    told.walk("in_force", told.rows.hit | told.rows.sibling, scored, lambda d, m: 30)
    return told


def _audit(county: fpml.County) -> list[dict[str, object]]:
    """A sixth of the households at the last as-of, drawn by lot, each with what the truth says of it then."""
    states = pd.read_parquet(county.workspace.truth / "states.parquet")
    now = states[states.month == AsOf.parse(LAST).month].set_index(
        states.household_id.astype(str)[states.month == AsOf.parse(LAST).month]
    )
    watched = county.cohort(LAST).household_id.astype(str)
    chosen = watched[np.random.default_rng(3).random(len(watched)) < 1 / 6]
    return [{"household_id": h, "as_of": LAST, "probability": 1 / 6,
             "confirmed": bool(h in now.index and (now.below[h] or now.failing[h] > 0))} for h in chosen]  # fmt: skip


def same(told: object, *wanted: float) -> None:
    got = [told] if not isinstance(told, tuple | list | np.ndarray) else list(told)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert (math.isnan(a) and math.isnan(b)) or a == pytest.approx(b, abs=1e-9), (got, wanted)


def cells(row: "pd.Series[float]", name: str) -> tuple[float, float, float]:
    return row[name], row[f"{name}_low"], row[f"{name}_high"]


def of(recount: Recount, name: str, events: pd.DataFrame | None = None) -> dict[str, tuple[float, float, float]]:
    """Found, lead and precision of a walk, with their intervals."""
    s = recount.sums(name, recount.falls if events is None else events)
    came, known = recount.fell
    right, seen = recount.of_listed(name, came), recount.of_listed(name, known)
    return {
        "found": recount.share_of(s.found, s.events),
        "lead": recount.spread(s.months / s.events.where(s.events > 0)),
        "precision": recount.share_of(right, seen),
    }


def test_there_is_something_to_count(recount: Recount, review: Review) -> None:
    assert len(recount.falls) > 20
    assert review.figures.loc["falls", "estimate"] == len(recount.falls)
    assert {"rule", "model", "neither"} <= set(review.tables["corners"].query("fell > 0").corner)


def test_the_first_figures(recount: Recount, review: Review) -> None:
    told = {k: tuple(row[["estimate", "low", "high"]]) for k, row in review.figures.iterrows()}
    sums = {n: recount.sums(n, recount.falls) for n in ("rules", "model", "in_force")}
    whole = sums["rules"].events
    for name, s in sums.items():
        same(told[f"found_{name}"], *of(recount, name)["found"])
        if name != "in_force":
            same(told[f"lead_{name}"], *of(recount, name)["lead"])
            same(told[f"precision_{name}"], *of(recount, name)["precision"])
            continue
        visits = [np.mean([recount.visits(name, d, m) for m in range(MONTHS)]) for d in range(DRAWS + 1)]
        same(told["visits_in_force"], *recount.spread(visits))
        assert s.events.iloc[0] == len(recount.falls)
    same(told["found_ratio"], *recount.spread(sums["model"].found / sums["rules"].found.where(sums["rules"].found > 0)))
    same(told["lead_gain"], *recount.spread((sums["model"].months - sums["rules"].months) / whole))
    same(told["watched"], recount.rows.free.sum() / MONTHS, np.nan, np.nan)
    found = {
        n: [np.array(recount.leads(n, d, recount.falls)) > 0 for d in range(DRAWS + 1)] for n in ("rules", "model")
    }
    for figure, wanted in {"both": (True, True), "rule_only": (True, False), "model_only": (False, True)}.items():
        parts, wholes = [], []
        for d, times in enumerate(recount.times):
            weight = np.array([times[recount.village[h]] for h in recount.falls.household])
            parts.append((weight * (found["rules"][d] == wanted[0]) * (found["model"][d] == wanted[1])).sum())
            wholes.append(weight.sum())
        same(told[figure], *recount.share_of(parts, wholes))


def test_falls_that_the_rules_never_saw(recount: Recount, review: Review) -> None:
    hit = recount.rows[recount.rows.hit & recount.rows.free].groupby("household").month.apply(list).to_dict()
    never = [not any(1 <= t - m <= 12 for m in hit.get(h, []))
             for h, t in zip(recount.falls.household, recount.falls.month, strict=True)]  # fmt: skip
    weight = [np.array([t[recount.village[h]] for h in recount.falls.household]) for t in recount.times]
    same(tuple(review.figures.loc["never_seen_by_rules", ["estimate", "low", "high"]]),
         *recount.share_of([(w * never).sum() for w in weight], [w.sum() for w in weight]))  # fmt: skip


def _corner(recount: Recount, visits: int = 30) -> pd.Series:
    cut = recount.rows[recount.rows.free & recount.rows.score.notna()]
    ranked = cut.sort_values("score", ascending=False, kind="stable").groupby("month").cumcount()
    inside = pd.Series(False, index=recount.rows.index)
    inside[ranked.index] = ranked < visits
    named = [CORNERS[bool(h), bool(i)] for h, i in zip(recount.rows.hit, inside, strict=True)]
    return pd.Series(named, index=recount.rows.index).where(recount.rows.free, "")


def _splits(recount: Recount) -> dict[tuple[str, str], pd.Series]:
    rows, catalogue = recount.rows, recount.catalogue
    out = {("all", "all"): pd.Series(True, index=rows.index)}
    types = list(catalogue.county.cohort)
    out |= {("household_type", catalogue.county.cohort[t].name.said("en")): rows.type == i for i, t in enumerate(types)}
    out |= {("township", str(t) if t >= 0 else "not known"): rows.township == t for t in rows.township.unique()}
    for name, rule in catalogue.rules.items():
        out["rule", rule.name.said("en")] = rows[name]
        if rule.channel == "department":
            at = "department", catalogue.departments[rule.department].name.said("en")
            out[at] = out.get(at, False) | rows[name]
    return out


def test_the_four_corners_by_every_split(recount: Recount, review: Review) -> None:
    corner, looked = _corner(recount), recount.looked
    came, known = recount.fell
    keys = list(zip(recount.rows.household, recount.rows.month, strict=True))
    fell, seen = (pd.Series([bool(x[k]) for k in keys], index=recount.rows.index) for x in (came, known))
    visited = looked.days <= 92
    table = review.tables["corners"].set_index(["split", "group_en", "corner"])
    wanted = {(*s, c): (m & (corner == c)) for s, m in _splits(recount).items() for c in CORNERS.values()}
    for visits in (10, 30, 60, 100):
        there = _corner(recount, visits)
        wanted |= {("capacity", f"{visits} visits a month", c): there == c for c in CORNERS.values()}
    assert {k for k in table.index if k[0] != "cause"} == set(wanted)
    for key, here in wanted.items():
        row = table.loc[key]
        assert row.household_months == here.sum()
        assert row.households == recount.rows.household[here].nunique()
        assert (row.visited, row.confirmed) == ((here & visited).sum(), (here & visited & looked.confirmed).sum())
        assert (row.known, row.fell) == ((here & seen).sum(), (here & fell).sum())
        if key[0] in ("all", "household_type"):
            same(cells(row, "confirmed_share"), *recount.share(visited & looked.confirmed, here & visited))
            same(cells(row, "fell_share"), *recount.share(fell, here & seen))


def test_falls_by_cause_lie_in_the_corners_that_held_them(recount: Recount, review: Review) -> None:
    corner = _corner(recount)
    by: dict[str, list[tuple[int, int]]] = {}
    for h, m, c in recount.all_falls.itertuples(index=False):
        by.setdefault(h, []).append((m, c))
    codes = recount.catalogue.indicators["risk_cause"].codes or {}
    next_cause = []
    for h, m in zip(recount.rows.household, recount.rows.month, strict=True):
        after = sorted(x for x in by.get(h, []) if x[0] > m)
        bit = after[0][1] if after and after[0][0] - m <= 12 else 0
        next_cause.append(codes[int(bit).bit_length()].said("en") if bit else "")
    table = review.tables["corners"].query("split == 'cause'").set_index(["group_en", "corner"]).household_months
    told = pd.crosstab(pd.Series(next_cause), corner.to_numpy())
    for (cause, c), n in table.items():
        assert n == (told.loc[cause, c] if cause in told.index and c in told.columns else 0)
    assert table.sum() > 50


def test_what_the_audit_says_of_each_corner(county: fpml.County, recount: Recount, review: Review) -> None:
    corner = _corner(recount)
    drawn = pd.DataFrame(_audit(county)).set_index("household_id").confirmed
    last = recount.rows[recount.rows.month == AsOf.parse(LAST).month]
    table = review.tables["corners"].query("split == 'all'").set_index("corner")
    for c in CORNERS.values():
        mine = last[(corner[last.index] == c) & last.household.isin(drawn.index)]
        wanted = drawn[mine.household].mean() if len(mine) else np.nan
        same(table.loc[c, "audit_fell_share"], wanted)
    assert table.loc["neither", "audit_fell_share"] > 0
    assert table.loc["neither", "audit_fell_share_low"] < table.loc["neither", "audit_fell_share_high"]


def test_along_capacity(recount: Recount, review: Review) -> None:
    rows = recount.rows
    nobody = pd.Series(False, index=rows.index)
    departments = [n for n, r in recount.catalogue.rules.items() if r.channel == "department"]
    gravity = {n: {"high": 3, "middle": 2, "low": 1}[recount.catalogue.rules[n].severity] for n in departments}
    score, grave = rows.score.copy(), pd.Series(0.0, index=rows.index)
    for n in departments:
        grave = np.maximum(grave, np.where(rows[n], gravity[n], 0))
    grave = grave + rows[departments].sum(axis=1) / (1 + len(departments))
    for visits, part in review.tables["capacity"].groupby("visits"):
        for row in part.to_dict("records"):
            if row["method"] == "rules":
                rows["score"] = grave
                recount.walk("along", nobody, rows[departments].any(axis=1), lambda d, m, v=visits: v)
                rows["score"] = score
            else:
                always = rows.hit | rows.sibling if row["method"] == "in_force" else nobody
                recount.walk("along", always, score.notna(), lambda d, m, v=visits: v)
            for figure, wanted in of(recount, "along").items():
                same((row[figure], row[f"{figure}_low"], row[f"{figure}_high"]), *wanted)
    assert sorted(review.tables["capacity"].visits.unique()) == [10, 30, 60, 100]


def test_month_by_month(recount: Recount, review: Review) -> None:
    table = review.tables["months"].set_index("as_of")
    for as_of in recount.as_ofs:
        row = table.loc[str(as_of)]
        listed = {n: {x for x in recount.walked[n][0] if x[1] == as_of.month} for n in ("rules", "model", "in_force")}
        assert (row.rules, row.model, row.in_force) == tuple(len(listed[n]) for n in ("rules", "model", "in_force"))
        assert row.both == len(listed["rules"] & listed["model"])
        now = recount.falls.month == as_of.month + 1
        assert row.falls == now.sum()
        for n in ("rules", "in_force"):
            assert row[f"found_{n}"] == (np.array(recount.leads(n, 0, recount.falls)) > 0)[now].sum()


def test_lead_to_falls_to_identification_and_to_the_first_hit(
    county: fpml.County, recount: Recount, review: Review
) -> None:
    records = county.records("monitored", AsOf.parse("2024-04"))
    entered = pd.DataFrame({"household": records.household_id.astype(str), "month": [
        pd.Timestamp(d).year * 12 + pd.Timestamp(d).month - 1 for d in records.event_date]})  # fmt: skip
    first = recount.rows[recount.rows.hit & recount.rows.free].sort_values("month").drop_duplicates("household")
    first = first[first.month > recount.months[0]][["household", "month"]]
    watched = set(recount.rows.household)
    events = {"fall": recount.falls, "identified": recount.judged(entered[entered.household.isin(watched)]),
              "first_rule_hit": recount.judged(first)}  # fmt: skip
    for row in review.tables["lead"].to_dict("records"):
        happened = events[row["event"]]
        assert row["events"] == len(happened) > 5
        told = of(recount, row["method"], happened)
        for figure in ("found", "lead"):
            same((row[figure], row[f"{figure}_low"], row[f"{figure}_high"]), *told[figure])
        leads = [x for x in recount.leads(row["method"], 0, happened) if x]
        same(row["median_lead"], np.median(leads) if leads else np.nan)


def test_each_rule_alone(recount: Recount, review: Review) -> None:
    rows = recount.rows
    nobody = pd.Series(False, index=rows.index)
    pushing = [n for n, r in recount.catalogue.rules.items() if r.channel == "department" and r.severity == "high"]
    table = review.tables["rules"].set_index("rule")
    assert list(table.index) == list(recount.catalogue.rules)
    for name, row in table.iterrows():
        recount.walk("alone", rows[name], nobody, lambda d, m: 0)
        told = of(recount, "alone")
        held = rows[rows[name] & rows.free]
        assert (row.hits, row.households, row.fires) == (len(held), held.household.nunique(), len(held) > 0)
        assert row.visits == len(recount.walked["alone"][0])
        assert row.found == (np.array(recount.leads("alone", 0, recount.falls)) > 0).sum()
        same(row.visits_per_found, row.visits / row.found if row.found else np.nan)
        same(cells(row, "recall"), *told["found"])
        same(cells(row, "precision"), *told["precision"])
        if name in pushing:
            others = rows[[n for n in pushing if n != name]].any(axis=1)
            recount.walk("others", others, nobody, lambda d, m: 0)
            assert row.only_this == len(recount.falls[np.array(recount.leads("rules", 0, recount.falls)) > 0]) - (
                np.array(recount.leads("others", 0, recount.falls)) > 0).sum()  # fmt: skip


def test_rules_that_duplicate_one_another(recount: Recount, review: Review) -> None:
    free = recount.rows[recount.rows.free]
    wanted = {}
    for one, rule in recount.catalogue.rules.items():
        for other, of_other in recount.catalogue.rules.items():
            shared = (free[one] & free[other]).sum()
            if one != other and free[one].sum() and shared / free[one].sum() >= 0.8:
                wanted[rule.name.said("en"), of_other.name.said("en")] = (
                    shared,
                    shared / free[one].sum(),
                    shared / free[other].sum(),
                )
    told = review.tables["duplicates"].set_index(["rule_en", "other_en"])[["shared", "share_of_rule", "share_of_other"]]
    assert set(told.index) == set(wanted)
    assert wanted
    for key, row in wanted.items():
        same(tuple(told.loc[key]), *row)


def _groups(recount: Recount) -> dict[tuple[str, str], pd.Series]:
    rows, catalogue = recount.rows, recount.catalogue
    types = list(catalogue.county.cohort)
    out = {("township", str(t) if t >= 0 else "not known"): rows.township == t for t in sorted(rows.township.unique())}
    out |= {("household type", catalogue.county.cohort[t].name.said("en")): rows.type == i for i, t in enumerate(types)}
    for key, grouping in catalogue.review.groups.items():
        out |= {(grouping.name.said("en"), g.name.said("en")): rows[key] == k for k, g in grouping.kinds.items()}
    return out


def _falls_of(recount: Recount, here: pd.Series) -> np.ndarray:
    """Which judged falls were of households of a group at the last as-of before."""
    mine = set(zip(recount.rows.household[here], recount.rows.month[here], strict=True))
    last = [max(x for x in recount.months if x < m) for m in recount.falls.month]
    return np.array([(h, m) in mine for h, m in zip(recount.falls.household, last, strict=True)])


def test_fairness_by_group(recount: Recount, review: Review) -> None:
    table = review.tables["groups"].set_index(["grouping_en", "group_en"])
    wanted = _groups(recount)
    assert set(table.index) == set(wanted)
    groupings = {g for g, _ in wanted}
    inside = {
        g: np.logical_or.reduce([_falls_of(recount, h) for (x, _), h in wanted.items() if x == g]) for g in groupings
    }
    looked = recount.looked
    ranked = recount.rows[recount.rows.free & recount.rows.score.notna()].sort_values(
        "score", ascending=False, kind="stable").groupby("month").cumcount()  # fmt: skip
    near = pd.Series(False, index=recount.rows.index)
    near[ranked.index] = (ranked >= 24) & (ranked < 30)
    for key, here in wanted.items():
        row, falls = table.loc[key], _falls_of(recount, here)
        assert (row.falls, row.near_cut) == (falls.sum(), (near & here).sum())
        assert row.households == recount.rows.household[here & recount.rows.free].nunique()
        shares, sums = {}, []
        for which in (falls, inside[key[0]] & ~falls):
            events = recount.falls[which]
            s = (
                recount.sums("model", events)
                if len(events)
                else pd.DataFrame({"events": [0.0] * (DRAWS + 1), "found": 0.0})
            )
            sums.append(s)
            shares[len(shares)] = (s.found / s.events.where(s.events > 0)).to_numpy()
        same(cells(row, "found_model"), *recount.share_of(sums[0].found, sums[0].events))
        same(cells(row, "gap"), *recount.spread(shares[0] - shares[1]))
        visited = looked.days <= 92
        same(cells(row, "near_cut_confirmed_share"),
             *recount.share(visited & looked.confirmed, near & here & visited))  # fmt: skip


def test_expected_and_observed_in_bands_of_score(recount: Recount, review: Review) -> None:
    rows = recount.rows
    by = recount.all_falls.groupby("household").month.apply(list).to_dict()
    soon = pd.Series(
        [any(0 < t - m <= 3 for t in by.get(h, [])) for h, m in zip(rows.household, rows.month, strict=True)]
    )
    scored = rows.free & rows.score.notna() & (rows.month + 3 <= recount.truth_to)
    edges = rows.score[scored].quantile([0, 0.5, 0.9, 0.99]).tolist()
    band = sum((rows.score >= e).astype(int) for e in edges) - 1
    table = review.tables["bands"].set_index(["grouping_en", "group_en", "band"])
    names = ["0%-50%", "50%-90%", "90%-99%", "99%-100%"]
    for (grouping, group), here in _groups(recount).items():
        for b, name in enumerate(names):
            mine = scored & here & (band == b)
            row = table.loc[grouping, group, name]
            assert (row.rows, row.observed) == (mine.sum(), soon[mine].sum())
            same(row.expected, rows.score[mine].sum())
            same(row.ratio, rows.score[mine].sum() / soon[mine].sum() if soon[mine].sum() else np.nan)


@pytest.mark.parametrize("kind", ["township", "village"])
def test_supervision_of_places(county: fpml.County, recount: Recount, review: Review, kind: str) -> None:
    rows, looked = recount.rows, recount.looked
    listed = pd.Series([x in set(recount.walked["in_force"][0]) for x in zip(rows.household, rows.month, strict=True)])
    told_to = pd.Timestamp(county.ledger.known_span()[1])
    due = pd.Series([pd.Timestamp(AsOf(m).date) + pd.Timedelta(days=15) <= told_to for m in rows.month])
    table = review.tables[f"{kind}s" if kind == "village" else "townships"].set_index("code")
    last = rows.month == recount.months[-1]
    for code in rows[kind].unique():
        mine = listed & (rows[kind] == code)
        row = table.loc[str(code) if code >= 0 else ""]
        visited = mine & (looked.days <= 92)
        assert row.listed == mine.sum()
        assert (row.verified, row.on_time) == (visited.sum(), (mine & (looked.days <= 15)).sum())
        assert row.overdue == (mine & due & (looked.days > 15)).sum()
        assert row.confirmed == (visited & looked.confirmed).sum()
        assert row.households == (last & (rows[kind] == code)).sum()
        assert row.monitored == (last & (rows[kind] == code) & ~rows.free).sum()
        assert (row.colour != "") == bool(row.why_zh) == bool(row.why_en)
    assert table.listed.sum() == len(recount.walked["in_force"][0])


def _fresh_with(recount: Recount, medical: pd.Series) -> pd.Series:
    """Which rows have a new fact where the rule on medical cost hits others than it does."""
    rows = recount.rows.sort_values(["household", "month"])
    departments = [n for n, r in recount.catalogue.rules.items() if r.channel == "department" and n != "medical_15000"]
    held = rows[departments].assign(medical=medical[rows.index])
    follows = rows.groupby("household").month.shift(1) == rows.month - 1
    before = held.groupby(rows.household).shift(1).fillna(False).astype(bool).mul(follows, axis=0)
    return (held & ~before).any(axis=1).reindex(recount.rows.index)


def test_what_if(recount: Recount, review: Review) -> None:
    rows, table = recount.rows, review.tables["what_if"].set_index(["proposal", "figure"])
    listing = [n for n, r in recount.catalogue.rules.items() if r.severity == "high" and r.channel == "department"]
    now = recount.sums("in_force", recount.falls)
    recount.walk("more", rows.hit | rows.sibling, rows.score.notna(), lambda d, m: 600)
    more = recount.sums("more", recount.falls)
    same(cells(table.loc["more_visits", "found"], "difference"), *recount.spread((more.found - now.found) / now.events))
    same(cells(table.loc["more_visits", "missed"], "difference"), *recount.spread(now.found - more.found))
    same(
        cells(table.loc["more_visits", "lead"], "difference"), *recount.spread((more.months - now.months) / now.events)
    )
    lower = rows.paid >= 12_000_00
    others = rows[[n for n in listing if n != "medical_15000"]].any(axis=1)
    fresh, rows["fresh"] = rows.fresh.copy(), _fresh_with(recount, lower)
    recount.walk("lower", others | lower | rows.sibling, rows.score.notna(), lambda d, m: 30)
    rows["fresh"] = fresh
    then = recount.sums("lower", recount.falls)
    visits = {
        name: np.array([np.mean([recount.visits(name, d, m) for m in range(MONTHS)]) for d in range(DRAWS + 1)])
        for name in ("lower", "in_force")
    }
    same(
        cells(table.loc["medical_12000", "found"], "difference"), *recount.spread((then.found - now.found) / now.events)
    )
    same(
        cells(table.loc["medical_12000", "visits"], "difference"), *recount.spread(visits["lower"] - visits["in_force"])
    )
    assert lower.sum() > rows.medical_15000.sum()


def test_the_command_writes_a_page_and_the_same_numbers(
    county: fpml.County, review: Review, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = tmp_path / "audit.csv"
    pd.DataFrame(_audit(county)).to_csv(audit, index=False)
    asked = ["review", LAST, "--months", str(MONTHS), "--draws", str(DRAWS), "--audit", str(audit), "--json", "--quiet"]
    assert main([*asked, "--workspace", str(county.workspace.root)]) == 0
    told = json.loads(capsys.readouterr().out)
    page, figures = map(Path, told.pop("files"))
    assert json.loads(figures.read_text(encoding="utf-8")) == told == json.loads(json.dumps(review.as_json()))
    html = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 5_000_000
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_what_if_from_a_file(county: fpml.County, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "fewer: {name: {zh: 每月10户, en: ten a month}, visits: 10, without: [medical_15000]}\n", encoding="utf-8"
    )
    here = ["--workspace", str(county.workspace.root), "--quiet"]
    asked = ["review", LAST, "--months", str(MONTHS), "--draws", "20", "--what-if", str(file)]
    assert main([*asked, *here, "--json"]) == 0
    told = {r["figure"]: r for r in json.loads(capsys.readouterr().out)["fewer"]["figures"]}
    assert told["visits"]["then"] < told["visits"]["now"]
    assert main([*asked, *here, "--lang", "zh"]) == 0
    assert "每月10户" in capsys.readouterr().out
    file.write_text("fewer: {name: {zh: 甲}, without: [medical]}\n", encoding="utf-8")
    assert main([*asked, *here]) == 3
    assert "mine.yaml @ fewer.medical" in capsys.readouterr().err


def test_an_audit_of_nobody_is_refused(county: fpml.County) -> None:
    strangers = pd.DataFrame({"household_id": ["nobody"], "as_of": [LAST], "probability": [0.5], "confirmed": [True]})
    with pytest.raises(InputError, match="1 rows of nobody watched then"):
        county.study(LAST, months=2, times=2, audit=strangers)
    with pytest.raises(InputError, match="no column"):
        county.study(LAST, months=2, times=2, audit=strangers[["household_id"]])


def test_what_is_kept_of_the_months_is_used_again_only_where_it_is_of_the_same(
    county: fpml.County, study: Study
) -> None:
    def kept() -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in county.workspace.cache.glob("lookback-*.arrow")}

    county.study(LAST, months=MONTHS, times=2)
    before = kept()
    again = county.study(LAST, months=MONTHS, times=2)
    assert kept() == before
    assert np.array_equal(again.sides.score, study.sides.score, equal_nan=True)
    assert again.sides.panel.histories.equals(study.sides.panel.histories)
    for name in before:
        path = county.workspace.cache / name
        path.write_bytes(path.read_bytes()[:1000])
    mended = county.study(LAST, months=MONTHS, times=2)
    assert np.array_equal(mended.sides.score, study.sides.score, equal_nan=True)


def test_before_any_model_there_is_nothing_to_review(county: fpml.County) -> None:
    with pytest.raises(NotYetError, match="no model had been trained"):
        county.review("2022-03")


def test_a_published_month_keeps_what_it_was_ranked_by(county: fpml.County) -> None:
    path = county.workspace.scores / "2022-12.parquet"
    path.unlink(missing_ok=True)
    county.keep_scores("2022-12")
    kept = pd.read_parquet(path).set_index("household_id").probability
    told = county.scores("2022-12").query("horizon == 3").set_index("household_id").probability
    pd.testing.assert_series_equal(kept.sort_index(), told.sort_index(), check_names=False, check_index_type=False)
    written = path.stat().st_mtime_ns
    county.keep_scores("2022-12")
    assert path.stat().st_mtime_ns == written
    county.keep_scores("2021-06")
    assert not (county.workspace.scores / "2021-06.parquet").exists()
