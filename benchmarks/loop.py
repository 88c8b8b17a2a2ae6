"""Two years in closed loop: lists, cadres who err, what they find, the next model; beside loops that lack a part.

python benchmarks/loop.py [--full] [--households N] [--seeds S ...] [--finds N]

A simulated county lives two years without lists, and a model learns from its register. From there on the same county
lives two years more in each of five ways, its cadres with the same visits in each: lists by rules alone; by a model
that is never trained again; trained again every quarter from the register as it is; the same beside an audit, whose
visits are taken from the list's; and with falls weighted as that audit tells. Beside them its twin, which gets no
lists. What is found is counted on true falls, month by month; lists are those that `fpml month` publishes, as far as
the visits reach. All results are simulated. Small: 2,000 households over 12 months; full: 12,000 over 24, two seeds.

Each seed is written when it is done, and one that is written at the same size, by the same code and libraries on such
a machine, is not lived again: a run that was stopped goes on with the next. The audit is as small as its floors allow,
or large enough that so many `--finds` are expected in its year: with 10 and more, falls are weighted by it.
"""

import argparse
import copy
import json
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from measure import RESULTS, apart, machine, show, versions, write

import fpml
from fpml.audits import Audit, Ground, ground, plan
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.measure.audit import Plan as AuditPlan
from fpml.simulate import Dials, Places, Plan, load_profile
from fpml.simulate.live import Live
from fpml.version import code

FIRST, WARM = AsOf.parse("2021-01"), 24
SIZES = {"small": (2_000, 12, (71,)), "full": (12_000, 24, (71, 72))}
RETRAINED = 3
# Of a county's visits the list has these; the rest are the county's own, for who declares or is met on a walk now.
LISTED = 0.8
# Visitors overlook, and err; the county's second check seldom does. Not all are met.
NOTICED, FALSE, CONFIRMED, MISTAKEN, MET = 0.85, 0.01, 0.95, 0.001, 0.95
DRAWS = 500
# The half widths of the yearly recall that an audit is planned for, until it is large enough.
WIDTHS = tuple(w / 100 for w in range(45, 4, -5))
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """One way to live on: whether models learn again, whether an audit runs, and whether it weights falls."""

    name: str
    models: bool = True
    again: bool = True
    audit: bool = False
    weighted: bool = False


WAYS = (
    Way("rules alone", models=False),
    Way("model, never trained again", again=False),
    Way("trained again, no audit"),
    Way("trained again, audit, unweighted", audit=True),
    Way("trained again, weighted by the audit", audit=True, weighted=True),
)


@dataclass
class Lived:
    """What came of a way: by month the states at its end, and whom the list within the visits had at its beginning."""

    states: list[pd.DataFrame] = field(default_factory=list)
    twin: list[pd.DataFrame] = field(default_factory=list)
    listed: dict[int, list[str]] = field(default_factory=dict)
    audit_visits: int = 0
    audit_finds: float = 0.0
    seen: list[tuple[float, float, int]] = field(default_factory=list)


def began(root: Path, plan_: Plan) -> tuple[Live, list[pd.DataFrame]]:
    """The county after its years without lists: all taken in, nothing learnt yet."""
    fpml.init(root)
    for file in (root / "models").glob("*.yaml"):
        file.write_text(re.sub(r"patience: \d+", "patience: 15", file.read_text(encoding="utf-8")), encoding="utf-8")
    county = fpml.open(root)
    county.workspace.mark_simulated(plan_.profile.name.model_dump(), plan_.own_line)
    policy = root / "policy" / "county.yaml"
    visits = round(LISTED * plan_.profile.visits * plan_.households / 1000)
    policy.write_text(re.sub(r"(?m)^visits: .*", f"visits: {visits}", policy.read_text("utf-8")), encoding="utf-8")
    county = fpml.open(root)
    live = Live(plan_, Places(county.workspace.deliveries, county.workspace.truth), county.catalogue)
    states = [_slim(live.step().states) for _ in range(WARM)]
    county.intake()
    return live, states


def _slim(states: pa.Table) -> pd.DataFrame:
    columns = ["household_id", "month", "village", "below", "failing", "monitored", "visited", "confirmed"]
    frame = states.select(columns).to_pandas()
    frame["household_id"] = frame["household_id"].astype(str)
    frame["trouble"] = frame["below"] | (frame["failing"] > 0)
    return frame.drop(columns=["below", "failing"])


def lived(root: Path, live: Live, before: list[pd.DataFrame], way: Way, size: "Size") -> Lived:
    """A way from here on."""
    for file in (root / "models").glob("*.yaml"):
        file.write_text(file.read_text(encoding="utf-8") + f"audited: {str(way.weighted).lower()}\n", encoding="utf-8")
    county, out, audit = fpml.open(root), Lived(states=[*before], twin=[*before]), None
    live.places = Places(county.workspace.deliveries, county.workspace.truth)
    visits, urgent = county.catalogue.county.visits, list[str]()
    for n in range(size.months):
        now = live.month.shift(-1)
        if way.models and (n == 0 or (way.again and n % RETRAINED == 0)):
            county.intake()
            if audit:
                audit.told(county, out.states, now)
            for name in county.model_names():
                try:
                    model = county.train(name, now)
                except NotYetError:
                    continue
                if model.learnt.seen:
                    out.seen.append((*model.learnt.seen, round(model.learnt.effective or 0)))
        listed = fpml.run_month(county, now).listed
        if way.audit and audit is None and n:
            audit = Audited.drawn(county, now, finds=size.finds, seed=live.plan.seed)
            out.audit_finds = audit.expected if audit else 0.0
        asked = audit.of(now.month) if audit else []
        out.audit_visits += len(asked)
        out.listed[live.month.month] = listed[: max(visits - len(asked) - len(urgent), 0)]
        ended = live.step([*out.listed[live.month.month], *urgent])
        out.states.append(_slim(ended.states))
        out.twin.append(_slim(ended.twin))
        urgent = audit.found_in(out.states, asked) if audit else []
    return out


@dataclass
class Audited:
    """A year's audit in a simulated county: who is asked when, and what visitors and the county make of it."""

    audit: Audit
    sample: pd.DataFrame
    expected: float
    rng: np.random.Generator
    answers: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def drawn(cls, county: fpml.County, as_of: AsOf, *, finds: float, seed: int) -> "Audited | None":
        """One of which so many finds are expected, where it can be so large; None where no model has learnt."""
        try:
            over = ground(county, as_of)
        except NotYetError:
            return None
        wanted, audit = large_enough(over, finds), Audit.of(county, as_of)
        return cls(audit, audit.draw(over, wanted, seed=seed), wanted.finds, np.random.default_rng(seed))

    def of(self, month: int) -> list[str]:
        """Whom it asks in the month after one."""
        first = AsOf.parse(self.audit.folder.name).month
        return self.sample.loc[self.sample["month"] == month - first, "household_id"].to_list()

    def found_in(self, states: list[pd.DataFrame], asked: list[str]) -> list[str]:
        """What this month's visits found: those confirmed, who are visited by the county next."""
        year = pd.concat(states[-13:])
        year = year[year["household_id"].isin(asked)].sort_values(["household_id", "month"])
        confirmed = []
        for name, of in year.groupby("household_id"):
            trouble, month = of["trouble"].to_numpy(), of["month"].to_numpy()
            began_in = month[trouble & ~np.concatenate([[False], trouble[:-1]])]
            fell = bool(trouble.any())
            met = self.rng.random() < MET
            found = met and self.rng.random() < (NOTICED if fell else FALSE)
            check = bool(self.sample.loc[self.sample["household_id"] == name, "check"].iloc[0])
            checked = found or (met and check)
            sure = checked and self.rng.random() < (CONFIRMED if fell else MISTAKEN)
            when = str(AsOf(int(began_in[-1] if began_in.size else month[-1]))) if sure else ""
            self.answers[str(name)] = {"met": _word(met), "found": _word(found), "checked": _word(checked),
                                       "confirmed": _word(sure), "fell": when}  # fmt: skip
            if sure and trouble[-1]:
                confirmed.append(str(name))
        return confirmed

    def told(self, county: fpml.County, states: list[pd.DataFrame], now: AsOf) -> None:
        """Writes what is known so far into the audit's files, and has them estimated."""
        del states, now
        places = []
        for kind in ("visitors", "county"):
            frame = pd.read_csv(self.audit.folder / f"{kind}.csv", dtype=str, keep_default_na=False)
            for column in {"met", "found", "checked", "confirmed", "fell"} & set(frame.columns):
                if kind == "county" or column != "fell":
                    frame[column] = [self.answers.get(h, {}).get(column, "") for h in frame["household_id"]]
            places.append(self.audit.folder.parent / f"back-{kind}.csv")
            frame.to_csv(places[-1], index=False)
        self.audit.estimate(county, *places)


def large_enough(over: Ground, finds: float) -> AuditPlan:
    """The smallest plan of which so many finds are expected; the largest that there is where none is."""
    floor = max(10, len(over.households) // 400)
    for width in WIDTHS:
        wanted = plan(over.strata, width, floor=floor)
        if wanted.finds >= finds:
            break
    return wanted


def _word(yes: bool) -> str:
    return "yes" if yes else "no"


def counted(out: Lived, months: int) -> dict[str, Any]:
    """Falls, those that the list had had, lead, visits, and trouble that nobody knew of; the twin's falls beside."""
    falls, twin = _falls(out.states), _falls(out.twin)
    last = int(out.states[-1]["month"].iloc[0])
    first = last - months + 1
    falls, twin = (f[f["month"].between(first + 1, last)] for f in (falls, twin))
    listed: dict[str, list[int]] = {}
    for month, names in out.listed.items():
        for name in names:
            listed.setdefault(name, []).append(month - 1)  # the as-of of the list
    lead = np.array([max((m - a for a in listed.get(h, []) if 1 <= m - a <= 12), default=0)
                     for h, m in zip(falls["household_id"], falls["month"], strict=True)])  # fmt: skip
    now = pd.concat(out.states[-months:])
    unknown = now[now["trouble"] & (now["monitored"] == 0)]
    visited, confirmed = int(now["visited"].sum()), int(now["confirmed"].sum())
    return {
        "falls": len(falls), "falls_of_the_twin": len(twin), "found": int((lead > 0).sum()),
        "share_found": float((lead > 0).mean()), "lead": float(lead.mean()),
        "missed": int((lead == 0).sum()), "visits": visited, "confirmed": confirmed,
        "audit_visits": out.audit_visits, "audit_finds_expected": round(out.audit_finds, 1),
        "listed": sum(map(len, out.listed.values())),
        "unknown_trouble_months": len(unknown),
        "seen": out.seen[-2:],
        "villages": _by_village(falls, lead),
        "drift": drift(out, falls),
    }  # fmt: skip


def _falls(states: list[pd.DataFrame]) -> pd.DataFrame:
    """First months in trouble of who was not in monitoring the month before."""
    frame = pd.concat(states).sort_values(["household_id", "month"])
    of = frame.groupby("household_id")
    before, watched = of["trouble"].shift(1), of["monitored"].shift(1)
    return frame[frame["trouble"] & (before == False) & (watched == 0)]  # noqa: E712 - not known is neither


def _by_village(falls: pd.DataFrame, lead: Ints) -> dict[str, list[int]]:
    table = falls.assign(found=lead > 0).groupby("village")["found"].agg(["size", "sum"])
    return {str(v): [int(r["size"]), int(r["sum"])] for v, r in table.iterrows()}


def drift(out: Lived, falls: pd.DataFrame) -> dict[str, float]:
    """Whether lists go where lists went: of the half of villages listed most in the first half of the months, the share
    of the second half's listings, beside their share of its true falls. The first above the second is drift."""
    village = pd.concat(out.states).drop_duplicates("household_id").set_index("household_id")["village"]
    months = sorted(out.listed)
    half = months[len(months) // 2]
    rows = pd.DataFrame([(m, h) for m, names in out.listed.items() for h in names], columns=["month", "household"])
    rows["village"] = rows["household"].map(village)
    size = village.value_counts()
    early = (rows[rows["month"] < half]["village"].value_counts() / size).fillna(0).sort_values(ascending=False)
    top = set(early.index[: len(early) // 2])
    late, fell = rows[rows["month"] >= half], falls[falls["month"] >= half]
    return {"listings_there": float(late["village"].isin(top).mean()),
            "falls_there": float(fell["village"].isin(top).mean()),
            "households_there": float(village.isin(top).mean())}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How large a county is, how many months it lives on, and how many finds are expected of its audit at least."""

    households: int
    months: int
    finds: float


def of_seed(seed: int, size: Size) -> dict[str, Any]:
    """All ways of one county."""
    plan_ = Plan(load_profile("baoshan", Dials(base_rate=0.9, precursors="strong")), size.households, first=FIRST,
                 months=WARM + size.months, seed=seed)  # fmt: skip
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as where:
        live, before = began(Path(where) / "start", plan_)
        for n, way in enumerate(WAYS):
            root = Path(shutil.copytree(Path(where) / "start", Path(where) / f"way-{n}"))
            told[way.name] = counted(lived(root, copy.deepcopy(live), before, way, size), size.months)
            shutil.rmtree(root)
    return told


def beside(one: dict[str, Any], other: dict[str, Any], *, seed: int = 1) -> tuple[float, float, float]:
    """The share found of one way less that of another, with its 95 % interval by villages drawn anew."""
    names = sorted(set(one["villages"]) | set(other["villages"]))
    a, b = (np.array([w["villages"].get(v, [0, 0]) for v in names], float) for w in (one, other))
    times = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    (fa, ga), (fb, gb) = ((times @ x).T for x in (a, b))
    gap = ga / np.maximum(fa, 1) - gb / np.maximum(fb, 1)
    low, high = np.quantile(gap, (0.025, 0.975))
    return one["share_found"] - other["share_found"], float(low), float(high)


def lived_by(size: Size) -> dict[str, Any]:
    """What all seeds of a file share: the machine, libraries and code that they were lived by, and the size."""
    return {"machine": machine(), "versions": versions("lightgbm", "numpy"), "code": code(), "simulated": True,
            **asdict(size)}  # fmt: skip


def written(name: str, about: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The seeds that were written before by the same; none where anything was other."""
    file = RESULTS / f"{name}.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    same = {k: told.get(k) for k in about} == about
    return {int(seed): ways for seed, ways in told["seeds"].items()} if same else {}


def main() -> None:
    """Lives all ways of each seed, each seed in a process of its own; prints the table and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--households", type=int)
    parser.add_argument("--seeds", type=int, nargs="*")
    parser.add_argument("--finds", type=float, default=0.0)
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    households, months, seeds = SIZES["full" if a.full else "small"]
    size = Size(a.households or households, months, a.finds)
    if a.part is not None:
        print(json.dumps(of_seed(a.part, size)))
        return
    name = f"loop{'' if a.full else '-small'}{f'-finds-{a.finds:g}' if a.finds else ''}"
    again = [*["--full"] * a.full, "--households", size.households, "--finds", size.finds]
    about = lived_by(size)
    told = written(name, about)
    for seed in a.seeds or seeds:
        if seed not in told:
            told[seed] = apart(__file__, *again, "--part", seed)
            write(name, about | {"seeds": {str(s): w for s, w in told.items()}})
        _show(seed, told[seed])


def _show(seed: int, ways: dict[str, Any]) -> None:
    """Prints the ways of a seed beside each other."""
    rules = ways[WAYS[0].name]
    show(
        (f"seed {seed}", "falls", "twin's", "found", "less rules alone", "missed", "lead", "visits", "audit",
         "confirmed", "unknown months", "lists / falls in villages listed before"),
        [(name, w["falls"], w["falls_of_the_twin"], f"{w['share_found']:.0%}",
          "{:+.0%} [{:+.0%}, {:+.0%}]".format(*beside(w, rules)), w["missed"], f"{w['lead']:.2f}", w["visits"],
          w["audit_visits"], w["confirmed"], w["unknown_trouble_months"],
          f"{w['drift']['listings_there']:.0%} / {w['drift']['falls_there']:.0%}")
         for name, w in ways.items()],
    )  # fmt: skip


if __name__ == "__main__":
    main()
