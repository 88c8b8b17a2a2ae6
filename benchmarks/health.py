"""False alarms of counties in good order, and whether each fault is told within a month.

    python benchmarks/health.py [--full] [--tune] [--at DIR]

Small counties are grown and lived through month by month; models learn at the end of the twentieth month, and every
monitor is asked in each of the last twelve. A county fails where a monitor raises more than two alarms. In some of them
each fault is then put into the last month but one: medical insurance missing, a tenth of its rows damaged, a threshold
changed, prices doubled; its alarm must be there when the next month has come. Counties deliver canonical records; whose
each record is makes their receipts, and what share of a department's rows is refused is drawn. Precision is asked of
drawn visits, for nobody visits here. Small: 3 counties, 1 with faults; full: 50 and 10. `--tune`: counties of other
seeds, by which limits were set. `--at DIR`: each county's answer is kept there, and a further call goes on. Prints its
figures and writes benchmarks/results/health.json. All is simulated.
"""

import argparse
import json
import re
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import machine, show, versions, write

import fpml
from fpml import health, lists
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.health import Alarm, Seen
from fpml.intake import Receipt
from fpml.intake.expected import expected
from fpml.simulate import Dials, Plan, load_profile

PACKAGES = ("numpy", "pyarrow", "lightgbm")
COUNTIES, FAULTY = {"small": 3, "full": 50}, {"small": 1, "full": 10}
MONTHS, LEARN, WATCHED = 36, 19, 12
# A year of lists before the first month that is watched; ranked by no model at first.
FIRST_LIST = MONTHS - 2 * WATCHED
# The counties by which limits were set are none that are reported: county 0 had been looked at while they were.
REPORTED, TUNE = 1, 10_000
MOST_ALARMS, MOST_FAILING = 2, 0.05
FAULTS = {"missing": "missing", "damaged": "damaged", "threshold": "threshold", "prices": "level"}
SICK = "medical_insurance"
VISITS, SHARES = 300, (0.05, 0.4)


@dataclass(frozen=True)
class Grown:
    """A county with all its months on disk, and how many households it has."""

    root: Path
    files: tuple[Path, ...]
    households: int
    seed: int

    def month(self, at: int) -> AsOf:
        """The month of a file."""
        return AsOf.parse(self.files[at].stem)


def grown(where: Path, seed: int) -> Grown:
    """A small county in hard times, so that there is something to learn; nothing of it is taken in yet."""
    households = int(np.random.default_rng([seed, 0]).integers(600, 900))
    root = fpml.init(where / "county").root
    for file in (root / "models").glob("*.yaml"):
        text = re.sub(r"learning_rate: \S+", "learning_rate: 0.2", file.read_text(encoding="utf-8"))
        file.write_text(re.sub(r"patience: \d+", "patience: 10", text) + "folds: 2\n", encoding="utf-8")
    own = root / "policy" / "county.yaml"
    own.write_text(re.sub(r"(?m)^visits: .*$", "visits: 60", own.read_text(encoding="utf-8")), encoding="utf-8")
    hard = {"formal": 1.0, "guess": 0.1, "job_loss": 0.03, "rehired": 0.1}
    profile = load_profile("baoshan", Dials(base_rate=1.45)).model_copy(update=hard)
    county = fpml.open(root)
    county.simulate(Plan(profile, households, months=MONTHS, seed=seed), processes=1)
    apart = county.workspace.deliveries.rename(where / "apart")
    county.workspace.deliveries.mkdir()
    return Grown(root, tuple(sorted(apart.glob("*.parquet"))), households, seed)


def receipts(county: fpml.County, place: Grown, upto: int, fault: str = "", at: int = -1) -> list[Receipt]:
    """Each department's receipts up to a month: as many rows as it told, of which a share drawn was refused."""
    rng, found, catalogue = np.random.default_rng([place.seed, 1]), [], county.catalogue
    usual = {d: rng.uniform(0.002, 0.02) for d in catalogue.departments}
    for n in range(upto + 1):
        names = pq.read_table(place.files[n], columns=["indicator"])["indicator"].value_counts().to_pylist()
        rows: Counter[str] = Counter()
        for told in names:
            rows[catalogue.indicators[told["values"]].department] += told["counts"]
        for department, whole in sorted(rows.items()):
            # Some months are three times as bad as others.
            share = usual[department] * rng.gamma(2.0, 0.5)
            refused, sick = int(rng.binomial(whole, min(1.0, share))), department == SICK and n == at
            if sick and fault == "missing":
                continue
            if sick and fault == "damaged":
                refused = max(refused, len(damaged_rows(pq.read_table(place.files[n]), county)))
            found.append(
                _receipt(catalogue.departments[department].sent_by[0].said("zh"), place.month(n), whole, refused)
            )
    return found


def _receipt(sender: str, month: AsOf, rows: int, refused: int) -> Receipt:
    day = f"{month.shift(1)}-08"
    return Receipt(
        f"{sender}-records-{month}_{day}.csv", f"{sender}{month}", rows=rows, accepted=rows - refused,
        quarantined={"not_an_amount": refused} if refused else {}, sender=sender, month=str(month), day=day,
        filled={"": {"*": rows}},
    )  # fmt: skip


def of_the_sick(table: pa.Table, county: fpml.County) -> pa.Array:
    """Which rows are of the department that is at fault."""
    mine = [n for n, i in county.catalogue.indicators.items() if i.department == SICK]
    return pc.is_in(table["indicator"].cast(pa.string()), value_set=pa.array(mine)).combine_chunks()


def damaged_rows(table: pa.Table, county: fpml.County) -> np.ndarray[Any, Any]:
    """Every tenth of its rows."""
    return np.flatnonzero(np.asarray(of_the_sick(table, county)))[::10]


def spoilt(table: pa.Table, fault: str, county: fpml.County) -> pa.Table:
    """A month's records with a fault in them."""
    sick = np.asarray(of_the_sick(table, county))
    if fault == "missing":
        return table.filter(pa.array(~sick))
    if fault == "damaged":
        keep = np.ones(table.num_rows, bool)
        keep[damaged_rows(table, county)] = False
        return table.filter(pa.array(keep))
    if fault == "prices":
        amounts = [n for n, i in county.catalogue.indicators.items() if i.kind == "amount"]
        dear = pc.is_in(table["indicator"].cast(pa.string()), value_set=pa.array(amounts))
        value = pc.if_else(dear, pa.array([twice(v) for v in table["value"].to_pylist()]), table["value"])
        return table.set_column(table.column_names.index("value"), "value", value)
    return table


def twice(value: str | None) -> str | None:
    """Twice an amount; what is withdrawn, and is no number, stays so."""
    return str(2 * Decimal(value)) if value and value.replace(".", "", 1).isdigit() else value


def take(county: fpml.County, place: Grown, at: int, fault: str = "") -> None:
    """Takes a month's records in, spoilt by a fault."""
    path = county.workspace.deliveries / place.files[at].name
    pq.write_table(spoilt(pq.read_table(place.files[at]), fault, county), path)
    done = county.intake([path])
    assert not any(r.refused for r in done), [r.refused for r in done]


def listed(county: fpml.County, *months: AsOf) -> None:
    """What is watched of some months' lists, kept as a month's run keeps it; the lists are not written."""
    county.histories(*months)
    for month in months:
        models, histories = county.models(month), county.at(month)
        stand = lists.standing(histories, models, county.catalogue)
        county.keep_scores(month, reckoned=(histories, stand))
        drawn = county.warning_list(month, reckoned=(histories, stand)) if models else nobody(month)
        county.watch.keep(histories, stand, drawn, models)


def nobody(month: AsOf) -> lists.WarningList:
    """A list of a month before any model: what stands in it no monitor looks at."""
    return lists.WarningList("", month.date, (), {}, pd.DataFrame({"household": []}), (), {}, True)


def told(county: fpml.County, came: list[Receipt], *months: AsOf) -> list[Alarm]:
    """The alarms of some months."""
    space = county.workspace
    seen = Seen(came, expected(came, county.catalogue), county.ledger, space.health, space.reports)
    return health.alarms(seen, county.catalogue, *months)


def lived(place: Grown, tracked: Path) -> fpml.County:
    """The county with all months but the last two taken in, its models, and what each list was made from."""
    county = fpml.open(place.root)
    paths = [county.workspace.deliveries / path.name for path in place.files[: MONTHS - 2]]
    for path, source in zip(paths, place.files, strict=False):
        shutil.copy(source, path)
    assert not any(r.refused for r in county.intake(paths))
    database = Path(county.workspace.tracking()[0].removeprefix("sqlite:///"))
    if tracked.is_file():  # its tables take longer to make than a small county's models
        shutil.copy(tracked, database)
    for name in county.model_names():
        with suppress(NotYetError):  # too few falls to learn from: such a county has one model, or none
            county.train(name, place.month(LEARN))
    shutil.copy(database, tracked)
    listed(county, *(place.month(at) for at in range(FIRST_LIST, MONTHS - 2)))
    return county


def quiet(where: Path, place: Grown) -> dict[str, Any]:
    """The alarms of the last months of a county in good order, by monitor; and what was alarmed about."""
    county = fpml.open(Path(shutil.copytree(place.root, where / "quiet")))
    for at in (MONTHS - 2, MONTHS - 1):
        take(county, place, at)
    listed(county, place.month(MONTHS - 2), place.month(MONTHS - 1))
    found = told(county, receipts(county, place, MONTHS - 1), *(place.month(MONTHS - n) for n in range(1, WATCHED + 1)))
    monitors = Counter(a.monitor for a in found)
    entries = county.watch.outlook(place.month(MONTHS - 1))["entries"]
    about = [f"{a.monitor} {a.month} {a.of.said('en')} {dict(a.facts)}" for a in found]
    return {"households": place.households, "alarms": dict(monitors), "entries": entries, "about": about}


def faulty(where: Path, place: Grown) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each fault in the last month but one: what is told of it in the month of the fault, and in the next."""
    begun = fpml.open(place.root)
    fpml.run_month(begun, place.month(MONTHS - 3))
    for fault, monitor in FAULTS.items():
        county = fpml.open(Path(shutil.copytree(place.root, where / fault)))
        if fault == "threshold":
            rules = county.workspace.policy / "rules.yaml"
            text = rules.read_text(encoding="utf-8")
            rules.write_text(text.replace("value: 15000}", "value: 12000}", 1), encoding="utf-8")
            county = fpml.open(county.workspace.root)
        at = MONTHS - 2
        take(county, place, at, fault)
        fpml.run_month(county, place.month(at))
        first = told(county, receipts(county, place, at, fault, at), place.month(at))
        take(county, place, at + 1, fault if fault == "prices" else "")
        fpml.run_month(county, place.month(at + 1))
        then = told(county, receipts(county, place, at + 1, fault, at), place.month(at))
        at_once, within = (any(a.monitor == monitor for a in some) for some in (first, [*first, *then]))
        said = next((a.said(county.catalogue.watching, "en") for a in then if a.monitor == monitor), "")
        others = sorted({a.monitor for a in [*first, *then]} - {monitor})
        yield fault, {"at_once": at_once, "within_a_month": within, "said": said, "others": others}
        shutil.rmtree(county.workspace.root)


def visited(counties: int, seed: int, rule: Any) -> dict[str, Any]:
    """Precision on drawn visits: counties of three years that it accuses, and how late it tells a halving."""
    rng = np.random.default_rng([seed, 2])
    shares = rng.uniform(*SHARES, counties)
    accused, late, stated = 0, [], []
    for share in shares:
        before = rng.random(VISITS * MONTHS) < share
        accused += health.halved(before, rule) is not None
        found = health.halved(np.concatenate([before, rng.random(VISITS * MONTHS) < share / 2]), rule)
        if found is not None and found >= before.size:
            late.append(found - before.size)
            stated.append(health.delay(float(share), rule))
    return {
        "counties": counties, "visits_a_month": VISITS, "accused": accused, "halvings_told": len(late),
        "delay_visits_median": round(float(np.median(late))), "stated_median": round(float(np.median(stated))),
    }  # fmt: skip


def foreseen(a_month: float, rule: Any, seed: int, times: int = 200) -> dict[str, Any]:
    """Calibration on drawn entries: how late it tells that half (or twice) as many come as are foreseen a month."""
    rng, found = np.random.default_rng([seed, 3]), {}
    for name, ratio in (("halved", 0.5), ("doubled", 2.0)):
        late = []
        for _ in range(times):
            # As uneven as policy takes entries to be.
            mean = a_month * ratio
            spread = mean * (rule.dispersion - 1)
            came = rng.poisson(rng.gamma(mean**2 / spread, spread / mean, 120)) if spread else rng.poisson(mean, 120)
            one = health.astray([health.Came(n, a_month, int(c)) for n, c in enumerate(came)], ratio, rule)
            late.append(one[1] + 1 if one else 120)
        stated = health.calibration_delay(a_month, ratio, rule)
        found[name] = {"delay_months_mean": round(float(np.mean(late)), 1), "stated": round(stated, 1)}
    return {"foreseen_a_month": a_month, **found}


def one(seed: int, with_faults: bool, tracked: Path, at: Path | None) -> dict[str, Any]:
    """One county's answer: its alarms in good order, and what is told of each fault; kept, where there is a place."""
    path = at / f"{seed}.json" if at else None
    if path and path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as where:
        place = grown(Path(where), seed)
        lived(place, tracked)
        answer: dict[str, Any] = {"quiet": quiet(Path(where), place)}
        answer["faults"] = dict(faulty(Path(where), place)) if with_faults else {}
    answer["seconds"] = round(time.perf_counter() - began)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(answer, ensure_ascii=False), encoding="utf-8")
    return answer


def main() -> None:
    """Lives, asks, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--at", type=Path, metavar="DIR")
    asked = parser.parse_args()
    size, base = "full" if asked.full else "small", TUNE if asked.tune else REPORTED
    still: list[dict[str, Any]] = []
    faults: dict[str, list[dict[str, Any]]] = defaultdict(list)
    tracked = Path(tempfile.mkdtemp()) / "mlflow.db"
    for n in range(COUNTIES[size]):
        answer = one(base + n, n < FAULTY[size], tracked, asked.at)
        still.append(answer["quiet"])
        for fault, told_of in answer["faults"].items():
            faults[fault].append(told_of)
        print(n, answer["seconds"], answer["quiet"], flush=True)
    monitors = fpml.open(Path(fpml.__file__).parents[1]).catalogue.watching
    failing = [s for s in still if any(v > MOST_ALARMS for v in s["alarms"].values())]
    by = {m: [s["alarms"].get(m, 0) for s in still] for m in monitors.monitors}
    rows = [(m, sum(v), max(v), sum(x > MOST_ALARMS for x in v)) for m, v in by.items()]
    show(("monitor", "alarms", "most in a county", "counties failing"), rows)
    share, allowed = len(failing) / len(still), f"{MOST_FAILING:.0%} allowed"
    print(f"{len(still)} quiet counties, {WATCHED} months each: {len(failing)} fail ({share:.1%}; {allowed})")
    summed = {
        f: {"counties": len(v), **{k: sum(bool(x[k]) for x in v) for k in ("at_once", "within_a_month")},
            "said": v[-1]["said"], "others": dict(Counter(o for x in v for o in x["others"]))}
        for f, v in faults.items()
    }  # fmt: skip
    show(("fault", "counties", "at once", "within a month"), [(f, *[*s.values()][:3]) for f, s in summed.items()])
    late = {
        "precision": visited(max(COUNTIES[size], 60), base, monitors.precision),
        "calibration": [foreseen(n, monitors.calibration, base) for n in (3.0, 10.0, 30.0)],
    }
    print(late)
    found = {
        "machine": machine(), "versions": versions(*PACKAGES), "simulated": True, "counties": len(still),
        "months_each": WATCHED, "seeds": [base, base + len(still) - 1], "failing": len(failing), "failing_share": share,
        "alarms": {m: {"alarms": n, "most_in_a_county": most, "failing": f} for m, n, most, f in rows},
        "faults": summed, "outcome_monitors": late, "quiet": still,
    }  # fmt: skip
    name = "health-tuning" if asked.tune else "health" if asked.full else "health-small"
    write(name, found)


if __name__ == "__main__":
    main()
