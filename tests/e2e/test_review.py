"""Every number of a review equals a recount in pandas and plain loops (`recount.py`), on a small simulated county."""

import json
import math
import shutil
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from recount import Recount
from scipy import stats

import fpml
from fpml import month
from fpml.catalogue import Condition, Proposal
from fpml.cli import main
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError, UsageError
from fpml.measure import Draws, needed
from fpml.review import Review, Study
from fpml.review.groups import holm

# Of the months asked for, two have no model yet.
DRAWS, LAST, MONTHS, COUNTED = 6, "2023-04", 9, 7
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
    # Counted from the first month with a model; the lists of fifteen months before are walked.
    walked = [last.shift(-n) for n in reversed(range(COUNTED + 15))]
    told = Recount(county, walked, 15, times)
    nobody = pd.Series(False, index=told.rows.index)
    scored = told.rows.score.notna()
    told.walk("rules", told.rows.hit, nobody, lambda d, m: 0)
    told.walk("model", nobody, scored, lambda d, m: told.visits("rules", d, m))
    told.walk("in_force", told.rows.hit | told.rows.sibling, scored, lambda d, m: 30)
    return told


def _audit(county: fpml.County) -> list[dict[str, object]]:
    """Half of the households at three as-ofs, drawn by lot, each with what the truth says of it then."""
    rng, rows = np.random.default_rng(3), []
    states = pd.read_parquet(county.workspace.truth / "states.parquet")
    states = states.assign(household=states.household_id.astype(str), trouble=states.below | (states.failing > 0))
    for as_of in (AsOf.parse(LAST).shift(n) for n in (-4, -2, 0)):
        # Month by month backwards: trouble all the way from the as-of back to where it began.
        ordered = states[states.month <= as_of.month].sort_values("month", ascending=False)
        spell = ordered[ordered.groupby("household").trouble.cummin()].groupby("household").month.min()
        watched = county.cohort(as_of).household_id.astype(str)
        for h in watched[rng.random(len(watched)) < 1 / 2]:
            found = (
                {"confirmed": "yes", "fell": str(AsOf(int(spell[h])))}
                if h in spell
                else {"confirmed": "no", "fell": ""}
            )
            rows.append({"household_id": h, "as_of": str(as_of), "probability": 1 / 2, **found})
    return rows


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
            visits = [COUNTED * recount.a_month(name, d) for d in range(DRAWS + 1)]
            same(told[f"detected_{name}"], *recount.share_of(recount.of_listed(name, recount.below), visits))
            continue
        visits = [recount.a_month(name, d) for d in range(DRAWS + 1)]
        same(told["visits_in_force"], *recount.spread(visits))
        assert s.events.iloc[0] == len(recount.falls)
    same(told["found_ratio"], *recount.spread(sums["model"].found / sums["rules"].found.where(sums["rules"].found > 0)))
    same(told["lead_gain"], *recount.spread((sums["model"].months - sums["rules"].months) / whole))
    same(told["watched"], recount.rows.counted.sum() / COUNTED, np.nan, np.nan)
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
    departments = [n for n, r in recount.catalogue.rules.items() if r.channel == "department"]
    hit = recount.rows[recount.rows[departments].any(axis=1)].groupby("household").month.apply(list).to_dict()
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
    return pd.Series(named, index=recount.rows.index).where(recount.rows.counted, "")


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
    rows = recount.rows.assign(corner=corner, as_of=[str(AsOf(m)) for m in recount.rows.month])
    drawn = pd.DataFrame(_audit(county)).merge(rows, left_on=["household_id", "as_of"], right_on=["household", "as_of"])
    table = review.tables["corners"].query("split == 'all'").set_index("corner")
    few = 0
    for c in CORNERS.values():
        mine = drawn.confirmed[drawn.corner == c] == "yes"
        told = cells(table.loc[c], "audit_fell_share")
        if mine.sum() >= 10:
            same(told[0], mine.mean())
            assert told[1] < told[0] < told[2]
            continue
        few += 1
        bound = stats.beta(mine.sum() + 1, len(mine) - mine.sum()).ppf(0.95) if len(mine) else np.nan
        same(told, np.nan, np.nan, bound)
    assert few
    assert table.loc["neither", "audit_fell_share"] > 0


def test_recall_by_the_audit_asks_who_was_listed_before_the_fall(
    county: fpml.County, recount: Recount, review: Review
) -> None:
    drawn = pd.DataFrame(_audit(county)).query("confirmed == 'yes'").rename(columns={"household_id": "household"})
    drawn["at"] = [AsOf.parse(a).month for a in drawn.as_of]
    drawn["month"] = [AsOf.parse(f).month for f in drawn.fell]
    drawn = drawn[drawn.month > recount.months[recount.first]].drop_duplicates(["household", "month"])
    drawn = drawn.reset_index(drop=True)
    drawn["listed"] = np.array(recount.leads("in_force", 0, drawn)) > 0
    assert drawn.listed.any()
    assert not drawn.listed.all()
    table = review.tables["groups"].set_index(["grouping_en", "group_en"])
    kinds = 0
    for key, here in _groups(recount).items():
        inside = set(zip(recount.rows.household[here], recount.rows.month[here], strict=True))
        mine, row = drawn[[x in inside for x in zip(drawn.household, drawn["at"], strict=True)]], table.loc[key]
        assert row.audit_finds == len(mine)
        if len(mine) >= 10:
            kinds += 1
            same(row.recall, mine.listed.mean())
        elif not len(mine):
            same(cells(row, "recall"), np.nan, np.nan, np.nan)
        else:
            missed = (~mine.listed).sum()
            bound = stats.beta(missed + 1, len(mine) - missed).ppf(0.95) if missed < len(mine) else 1.0
            same(cells(row, "recall"), np.nan, 1 - bound, np.nan)
    assert kinds


def test_along_capacity(recount: Recount, review: Review) -> None:
    rows = recount.rows
    nobody = pd.Series(False, index=rows.index)
    departments = [n for n, r in recount.catalogue.rules.items() if r.channel == "department"]
    gravity = {n: {"high": 3, "middle": 2, "low": 1}[recount.catalogue.rules[n].severity] for n in departments}
    score, grave = rows.score.copy(), pd.Series(0.0, index=rows.index)
    for n in departments:
        grave = np.maximum(grave, np.where(rows[n], gravity[n], 0))
    grave = grave + rows[departments].sum(axis=1) / (1 + len(departments))
    assert sorted(review.tables["capacity"].visits.unique()) == [10, 30, 60, 100]
    for visits, part in review.tables["capacity"].query("visits == 60").groupby("visits"):
        for row in part.to_dict("records"):
            if row["method"] == "all_rules":
                rows["score"] = grave
                recount.walk("along", nobody, rows[departments].any(axis=1), lambda d, m, v=visits: v)
                rows["score"] = score
            else:
                always = rows.hit | rows.sibling if row["method"] == "in_force" else nobody
                recount.walk("along", always, score.notna(), lambda d, m, v=visits: v)
            for figure, wanted in of(recount, "along").items():
                same((row[figure], row[f"{figure}_low"], row[f"{figure}_high"]), *wanted)


def test_month_by_month(recount: Recount, review: Review) -> None:
    table = review.tables["months"].set_index("as_of")
    assert list(table.index) == [str(a) for a in recount.as_ofs[recount.first :]]
    for as_of in recount.as_ofs[recount.first :]:
        row = table.loc[str(as_of)]
        listed = {n: {x for x in recount.listed(n) if x[1] == as_of.month} for n in ("rules", "model", "in_force")}
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
    first = first[first.month > recount.months[recount.first]][["household", "month"]]
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
    departments = [n for n, r in recount.catalogue.rules.items() if r.channel == "department"]
    pushing = [n for n in departments if recount.catalogue.rules[n].severity == "high"]
    table = review.tables["rules"].set_index("rule")
    assert list(table.index) == list(recount.catalogue.rules)
    for name, row in list(table.iterrows())[::3]:  # each walk takes its time
        recount.walk("alone", rows[name], nobody, lambda d, m: 0)
        told = of(recount, "alone")
        held = rows[rows[name] & rows.counted]
        assert (row.hits, row.households, row.fires) == (len(held), held.household.nunique(), len(held) > 0)
        assert row.visits == len(recount.listed("alone"))
        assert row.found == (np.array(recount.leads("alone", 0, recount.falls)) > 0).sum()
        same(row.visits_per_found, row.visits / row.found if row.found else np.nan)
        same(cells(row, "recall"), *told["found"])
        same(cells(row, "precision"), *told["precision"])
        if name in pushing:
            others = rows[[n for n in pushing if n != name]].any(axis=1)
            fresh, rows["fresh"] = rows.fresh, recount.news(rows, rows[[n for n in recount.listing if n != name]])
            recount.walk("others", others, nobody, lambda d, m: 0)
            rows["fresh"] = fresh
            assert row.only_this == len(recount.falls[np.array(recount.leads("rules", 0, recount.falls)) > 0]) - (
                np.array(recount.leads("others", 0, recount.falls)) > 0).sum()  # fmt: skip


def test_rules_that_duplicate_one_another(recount: Recount, review: Review) -> None:
    free = recount.rows[recount.rows.counted]
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
    near &= recount.rows.counted
    for key, here in wanted.items():
        row, falls = table.loc[key], _falls_of(recount, here)
        assert (row.falls, row.near_cut) == (falls.sum(), (near & here).sum())
        assert row.households == recount.rows.household[here & recount.rows.counted].nunique()
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
        [any(0 < t - m <= 6 for t in by.get(h, [])) for h, m in zip(rows.household, rows.month, strict=True)]
    )
    scored = rows.counted & rows.score.notna() & (rows.month + 6 <= recount.truth_to)
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
    listed = pd.Series([x in set(recount.listed("in_force")) for x in zip(rows.household, rows.month, strict=True)])
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
    assert table.listed.sum() == len(recount.listed("in_force"))


def _fresh_with(recount: Recount, medical: pd.Series) -> pd.Series:
    """Which rows have a new fact where the rule on medical cost hits others than it does."""
    others = [n for n in recount.listing if n != "medical_15000"]
    return recount.news(recount.rows, recount.rows[others].assign(medical=medical))


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
    visits = {name: np.array([recount.a_month(name, d) for d in range(DRAWS + 1)]) for name in ("lower", "in_force")}
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
    assert json.loads(figures.read_text(encoding="utf-8")) == told
    alarms = told["about"].pop("alarms")
    assert told == json.loads(json.dumps(review.as_json()))
    html = page.read_text(encoding="utf-8")
    assert all(a["zh"]["said"] in html and a["en"]["remedy"] in html for a in alarms)
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


def test_an_audit_that_cannot_be_is_refused_whole_and_every_fault_counted(
    county: fpml.County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = pd.DataFrame(_audit(county))
    watched = good.household_id[0]
    bad = pd.DataFrame(
        [
            ("nobody", LAST, "0.5", "no", ""),
            (watched, "2023-03", "often", "no", ""),
            (watched, LAST, "0", "", ""),
            (watched, LAST, "0.5", "yes", ""),
            (good.household_id[1], LAST, "0.5", "yes", "2023-05"),
            (good.household_id[2], "2022-08", "0.5", "no", ""),
            (good.household_id[3], "2022-12", "0.5", "no", "2022-11"),
            (good.household_id[3], "2022-12-31", "0.5", "no", ""),
        ],
        columns=list(good.columns),
    )
    file = tmp_path / "audit.csv"
    bad.to_csv(file, index=False)
    here = ["--workspace", str(county.workspace.root), "--quiet"]
    assert main(["review", LAST, "--months", str(MONTHS), "--draws", "2", "--audit", str(file), *here]) == 3
    said = capsys.readouterr().err
    assert "2 rows of nobody watched then, or of no as-of from 2022-10 to 2023-04" in said
    assert "2 rows drawn twice" in said
    assert "1 rows not confirmed, and with a month of a fall" in said
    assert "2 rows without a probability" in said
    assert "1 rows in which `confirmed` is neither yes nor no" in said
    assert "2 rows confirmed, without the month of the fall" in said
    assert watched not in said
    with pytest.raises(InputError, match="no column confirmed, fell"):
        county.study(LAST, months=2, times=2, audit=good[["household_id", "as_of", "probability"]])
    words = good.assign(confirmed=good.confirmed.map({"yes": "是", "no": "否"}))
    assert (
        county.study(LAST, months=MONTHS, times=2, audit=words).audit.confirmed.sum() == (good.confirmed == "yes").sum()
    )
    assert main(["review", LAST, "--audit", str(file), "--what-if", str(file), *here]) == 2


def test_the_list_in_force_is_the_list_that_is_published(county: fpml.County, tmp_path: Path) -> None:
    """Month after month from the first: whom the batch lists, the review's walk lists."""
    root = tmp_path / "county"
    shutil.copytree(county.workspace.root, root, ignore=shutil.ignore_patterns("lists", "reports", "mlruns", "*.db"))
    mine = fpml.open(root)
    first = AsOf.parse("2022-10")
    listed = []
    for n in range(COUNTED):
        listed.append(set(month.run(mine, first.shift(n)).listed))
    study = mine.lookback.study([first.shift(n) for n in range(COUNTED)], months=COUNTED, times=2)
    panel = study.sides.panel
    assert panel.first == 0
    rows = study.in_force.listed
    for at, wanted in enumerate(listed):
        assert {panel.households[int(h)].as_py() for h in panel.household[rows[panel.at[rows] == at]]} == wanted
    # Rules go on hitting most of whom they hit; without a new fact nobody is listed again.
    assert len(listed[0]) >= 30
    assert len(set.union(*listed[1:5]) & listed[0]) < len(listed[0]) / 2
    same_month = month.run(mine, first.shift(COUNTED - 1))
    assert set(same_month.listed) == listed[-1]
    assert not same_month.new
    assert same_month.later == ()
    # A list that an earlier version published: whom it listed is known all the same.
    last, lists = first.shift(COUNTED - 1), mine.workspace.lists
    for old in ("listed.parquet", "stamp.json"):
        (lists / str(last.shift(-1)) / old).unlink()
    again = month.run(mine, last)
    assert (set(again.listed), again.edition.number, again.changed) == (listed[-1], 1, ())
    assert month.run(mine, first).later == tuple(str(first.shift(n)) for n in range(1, 6))
    (lists / str(last.shift(-1)) / "warnings.csv").write_bytes(b"")
    with pytest.raises(InputError, match=str(last.shift(-1))):
        mine.warning_list(last)


def test_models_of_another_meaning_before_counting_stop_no_review(county: fpml.County, tmp_path: Path) -> None:
    root = tmp_path / "county"
    shutil.copytree(county.workspace.root, root, ignore=shutil.ignore_patterns("lists", "reports", "mlruns", "*.db"))
    mine = fpml.open(root)
    (learnt,) = (mine.workspace.artefacts / "new_poverty").glob("2022-10-*")
    other = learnt.with_name("2022-01-" + "0" * 16)
    shutil.copytree(learnt, other)
    card = json.loads((other / "model.json").read_text(encoding="utf-8"))
    (other / "model.json").write_text(json.dumps(card | {"meaning": "another"}), encoding="utf-8")
    study = mine.study(LAST, months=2, times=2)
    assert (len(study.sides.panel.counted), study.before) == (2, (15, 5))
    with pytest.raises(UsageError, match="Ask for 49 at the most"):
        mine.lookback.study([AsOf.parse("2022-10").shift(n) for n in range(-15, 64)], months=64)


def test_a_gap_can_be_certain(recount: Recount) -> None:
    draws = Draws.of(40, times=500)
    here, there = np.random.default_rng(1).poisson(20, (2, 40)).astype(float)
    gap = (draws.times @ (here * 0.8)) / (draws.times @ here) - (draws.times @ (there * 0.2)) / (draws.times @ there)
    spread = gap + np.concatenate([[0], np.random.default_rng(2).normal(0, 0.05, 500)])
    chance = draws.chance(spread)
    # Beyond all draws, and far below what 501 draws could say by counting.
    assert chance < 1e-6 < 2 / 501 / 13
    assert holm(np.array([chance, 0.2, 0.9])).tolist() == [True, False, False]
    assert draws.chance(spread - spread[0]) == 1.0
    one = Draws.of(1, times=50)
    assert one.chance(np.arange(51.0)) == 1.0
    assert np.isnan(one.interval(np.arange(51.0)).low)
    assert one.share(np.full(51, 3.0), np.full(51, 40.0)).high > 3 / 40


def test_a_county_without_any_rule_of_a_department_has_its_review(county: fpml.County, tmp_path: Path) -> None:
    root = tmp_path / "county"
    shutil.copytree(county.workspace.root, root, ignore=shutil.ignore_patterns("lists", "reports", "mlruns", "*.db"))
    for name in ("rules.yaml", "review.yaml"):
        path = root / "policy" / name
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        if name == "rules.yaml":
            told = {k: v for k, v in told.items() if v.get("channel", "department") != "department"}
        else:
            told["what_if"] = {}
        path.write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False), encoding="utf-8")
    told = fpml.open(root).review(LAST, months=2, times=2)
    assert told.figures.loc["visits_rules", "estimate"] == 0
    assert "visits_rules" in told.html("en")


def test_a_proposal_whose_rule_reads_what_no_rule_does(county: fpml.County, tmp_path: Path) -> None:
    feature = next(n for n in county.catalogue.names() if n not in needed(county.catalogue))
    rule = next(iter(county.catalogue.rules.values())).model_copy(
        update={"all": (Condition(feature=feature, at_least=Decimal(1)),), "any": ()}
    )
    proposal = Proposal(name={"zh": "试", "en": "try"}, adding={"tried": rule})
    with pytest.raises(UsageError, match="was not read"):
        county.what_if(LAST, months=2, times=2).ask(proposal)
    answer = county.what_if(LAST, months=2, times=2, proposals=[proposal]).ask(proposal)
    assert answer.figures.set_index("figure").loc["visits", "then"] >= 0


def test_what_is_kept_of_the_months_is_used_again_only_where_it_is_of_the_same(
    county: fpml.County, study: Study
) -> None:
    def kept() -> dict[str, int]:
        """Each file, and which one it is: one that is written anew is another."""
        return {p.name: p.stat().st_ino for p in county.workspace.cache.glob("lookback-*.arrow")}

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
    told = county.scores("2022-12").query("horizon == 6").set_index("household_id").probability
    pd.testing.assert_series_equal(kept.sort_index(), told.sort_index(), check_names=False, check_index_type=False)
    written = path.stat().st_mtime_ns
    county.keep_scores("2022-12")
    assert path.stat().st_mtime_ns == written
    county.keep_scores("2021-06")
    assert not (county.workspace.scores / "2021-06.parquet").exists()
