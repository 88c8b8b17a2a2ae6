"""`make panel PANEL=DIR [REFITS=1]`: the real household panel to a ranked list, predictions.parquet, and its scorer.

The fixed split is kept: the models that are scored learnt only from labels known by June 2018, and from no household of
a test row. Whether the county is still the one they learnt from is said beside (the shift alarm), with REFITS what a
refit at each quarter comes to. The list for the last quarter comes from models that learnt all that was known by then.
"""

import hashlib
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import prepare
import pyarrow as pa
from rich.console import Console
from rich.table import Table

import fpml
from fpml import features, measure, month
from fpml.county import County
from fpml.dates import AsOf
from fpml.risk import RiskModel

HERE = Path(__file__).parent
WHERE = HERE.parents[1] / "data" / "argentina"
SPLIT, LAST = AsOf.parse("2018-06"), AsOf.parse("2019-12")
MONTHS = {1: 3, 4: 12}
OUT = Console()


class Stages:
    """How long each stage took, for how many rows."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, int]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[list[int]]:
        """Times a block; the block says its rows by appending to what it is given."""
        OUT.print(f"· {name}", style="dim", highlight=False)
        counted: list[int] = []
        began = time.perf_counter()
        yield counted
        self.rows.append((name, time.perf_counter() - began, sum(counted)))

    def table(self) -> Table:
        """The stages with seconds and rows a second, and the peak memory of this process and its children."""
        told = Table("stage", "seconds", "rows", "rows a second", title="Where the time went")
        for name, seconds, rows in self.rows:
            told.add_row(name, f"{seconds:.1f}", f"{rows:,}", f"{rows / seconds:,.0f}" if rows else "-")
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        told.add_row("all", f"{sum(s for _, s, _ in self.rows):.1f}", "", "")
        told.caption = f"peak memory {own / 1e6:.2f} GB (largest child beside it {children / 1e6:.2f} GB)"
        return told


def as_of(quarter: str) -> AsOf:
    """The as-of at a quarter's end: 2018T3 is September 2018."""
    return AsOf.parse(f"{quarter[:4]}-{3 * int(quarter[-1]):02d}")


def workspace(where: Path, panel: Path) -> County:
    """The example's workspace, with this folder's policy and model definitions as they stand now.

    What was made from another panel, or by another prepare.py, is cleared away first.
    """
    files = sorted(panel.glob("*_*T*.parquet"))
    made_from = hashlib.sha256((HERE / "prepare.py").read_bytes())
    made_from.update(str([(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]).encode())
    stamp = where / "made-from.txt"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != made_from.hexdigest():
        shutil.rmtree(where / "data", ignore_errors=True)
        where.mkdir(parents=True, exist_ok=True)
        stamp.write_text(made_from.hexdigest(), encoding="utf-8")
    for name in ("policy", "models"):
        (where / name).mkdir(parents=True, exist_ok=True)
        for file in (HERE / name).glob("*.yaml"):
            shutil.copyfile(file, where / name / file.name)
    fpml.init(where)
    return fpml.open(where)


def predict(county: County, model: RiskModel, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The model's probability for each row (household_id, quarter, horizon in quarters), at risk or not."""
    out = np.full(len(rows), np.nan)
    for (quarter, horizon), asked in rows.groupby(["quarter", "horizon"]):
        histories = county.at(as_of(str(quarter)))
        at = pd.Index(histories["household_id"].to_pandas()).get_indexer(asked["household_id"])
        if (at < 0).any():
            sys.exit(f"{int((at < 0).sum())} rows of {quarter} have no history")
        x = features.matrix(histories.take(pa.array(at)), model.features, county.catalogue)
        out[rows.index.get_indexer(asked.index)] = model.probability(x, MONTHS[int(str(horizon))])
    return out


def apart(rows: pd.DataFrame, title: str) -> Table:
    """Skill and calibration of one set of test rows, at each horizon, with intervals that draw whole cities."""
    heads = ("months", "rows", "base rate", "AUC", "average precision", "Brier", "expected/observed")
    told = Table(*heads, title=title)
    for horizon, d in rows.groupby("horizon"):
        y, p = d["poor_then"].to_numpy(np.int64), d["probability"].to_numpy()
        city = d["agglomeration"].to_numpy(np.int64)
        figures = [
            measure.interval(lambda r, f=f, y=y, p=p: f(y[r], p[r]), city, times=200)  # type: ignore[misc]
            for f in (measure.auc, measure.average_precision, measure.brier, measure.expected_over_observed)
        ]
        told.add_row(str(MONTHS[int(str(horizon))]), f"{len(d):,}", f"{y.mean():.4f}", *map(str, figures))
    return told


def shifts(learnt: pd.DataFrame, rows: pd.DataFrame) -> dict[int, measure.Shift]:
    """The shift alarm at each horizon (months): the rows learnt from against the rows scored, cities drawn whole."""
    cities, told = sorted({*learnt["agglomeration"], *rows["agglomeration"]}), {}
    draws = measure.Draws.of(len(cities), times=500)
    for horizon, now in rows.groupby("horizon"):
        then = learnt[learnt["horizon"] == horizon]
        before = measure.Seen(then["poor_then"].to_numpy(bool), np.searchsorted(cities, then["agglomeration"]))
        fell, city = now["poor_then"].to_numpy(bool), np.searchsorted(cities, now["agglomeration"])
        forecast = measure.Forecast(now["probability"].to_numpy(), fell, city)
        told[MONTHS[int(str(horizon))]] = measure.shifted(before, forecast, draws)
    return told


def refitted(county: County, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with probabilities of models refitted at each of their quarters, on all that was known by then."""
    parts = []
    for quarter, asked in rows.groupby("quarter"):
        model = county.train("new_poverty", as_of(str(quarter)))
        parts.append(asked.assign(probability=predict(county, model, asked)))
    return pd.concat(parts)


def same_head(county: County, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether the head's sex and age agree at both ends of each row's link; if not, another family may live there."""
    out = np.zeros(len(rows), bool)
    for (quarter, horizon), asked in rows.groupby(["quarter", "horizon"]):
        now = as_of(str(quarter))
        ends = [_heads(county, a).reindex(asked["household_id"]) for a in (now, now.shift(MONTHS[int(str(horizon))]))]
        grown = ends[1]["age"].to_numpy() - ends[0]["age"].to_numpy()
        agree = (ends[0]["woman"].to_numpy() == ends[1]["woman"].to_numpy()) & (grown >= -1) & (grown <= 3)
        out[rows.index.get_indexer(asked.index)] = agree
    return out


def _heads(county: County, at: AsOf) -> pd.DataFrame:
    histories = county.at(at)
    head = {
        "age": features.natural(histories, "head_age__last__3m", county.catalogue),
        "woman": features.natural(histories, "head_is_woman__last__3m", county.catalogue),
    }
    return pd.DataFrame(head, index=pd.Index(histories["household_id"].to_pandas()))


def run(panel: Path, where: Path, *, refits: bool) -> None:
    """Walks the whole line and prints what it is worth; `refits`: of refitted models too."""
    stages = Stages()
    target = panel / "targets.parquet"
    if not target.is_file():
        sys.exit(f"{target}: not there. Say where the panel lies: make panel PANEL=DIR")
    county = workspace(where, panel)
    with stages.stage("deliveries written"), ProcessPoolExecutor(2) as pool:
        deliveries = county.workspace.deliveries
        list(pool.map(prepare.deliver, *zip(*((panel, deliveries, q) for q in prepare.quarters(panel)), strict=True)))
    with stages.stage("records taken into the ledger") as counted:
        counted.extend(r.rows for r in county.intake(deliveries.glob("*.parquet")))
    with stages.stage("histories built (rows: household-quarters)") as counted:
        counted.append(county.histories(*county.as_ofs()).num_rows)

    columns = ["household_id", "quarter", "horizon", "agglomeration", "poor_now", "poor_before", "poor_then", "split"]
    whole = pd.read_parquet(target, columns=columns).query("poor_now == 0")
    learnt, rows = (whole[whole["split"] == side].reset_index(drop=True) for side in ("train", "test"))
    sides = pd.read_parquet(target, columns=["household_id", "split"])
    unseen = frozenset(sides.query("split == 'test'")["household_id"])
    scored = {}
    for name in ("new_poverty", "relapse"):
        with stages.stage(f"{name}: learnt from the training side") as counted:
            scored[name] = county.train(name, SPLIT, without=unseen)
            counted.append(scored[name].learnt.rows)
    with stages.stage("test rows scored") as counted:
        rows["probability"] = predict(county, scored["new_poverty"], rows)
        counted.append(len(rows))
    path = where / "predictions.parquet"
    rows[["household_id", "quarter", "horizon", "probability"]].to_parquet(path, index=False)

    forecasts = {"learnt by June 2018": rows}
    if refits:
        with stages.stage("new_poverty: refitted at each quarter (rows: scored)") as counted:
            forecasts["refitted at each quarter on all that was known then"] = refitted(county, rows)
            counted.append(len(rows))
    for name in ("new_poverty", "relapse"):
        with stages.stage(f"{name}: learnt from all that was known by {LAST}") as counted:
            counted.append(county.train(name, LAST).learnt.rows)
    with stages.stage("list drawn up, explained and written (rows: households watched)") as counted:
        published = month.run(county, LAST)
        counted.append(county.at(LAST).num_rows)
    with stages.stage("scorer"):
        subprocess.run([sys.executable, str(panel / "score.py"), str(path)], check=True)
    for said, forecast in forecasts.items():
        for months, shift in shifts(learnt, forecast).items():
            OUT.print(f"{months} months, {said}: {shift}", highlight=False)
    with stages.stage("intervals of what has no bar") as counted:
        for said, forecast in forecasts.items():
            OUT.print(apart(forecast, f"Newly poor, {said}"))
        relapse = rows[rows["poor_before"] == 1].copy()
        relapse["probability"] = predict(county, scored["relapse"], relapse)
        OUT.print(apart(relapse, "Poor again (relapse): poor at an earlier interview, not now"))
        before = rows[interviewed_before(county, rows)]
        OUT.print(apart(before, "Newly poor, rows with an earlier interview"))
        OUT.print(apart(rows[same_head(county, rows)], "Newly poor, links with the same head"))
        counted.append(len(rows))
    OUT.print(stages.table())
    OUT.print(
        f"predictions: {path}\nlist for {LAST}: {published.folder / 'warnings.xlsx'} (and .csv beside it)",
        highlight=False,
    )


def interviewed_before(county: County, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each row's household was interviewed in the year and a half before."""
    out = np.zeros(len(rows), bool)
    for quarter, asked in rows.groupby("quarter"):
        histories = county.at(as_of(str(quarter)))
        number = features.natural(histories, "interviewed__count__15m_3m_ago", county.catalogue)
        at = pd.Index(histories["household_id"].to_pandas()).get_indexer(asked["household_id"])
        out[rows.index.get_indexer(asked.index)] = np.nan_to_num(number[at]) > 0
    return out


if __name__ == "__main__":
    asked = [a for a in sys.argv[1:] if a != "--refits"]
    if len(asked) != 1:
        sys.exit(__doc__)
    run(Path(asked[0]).resolve(), WHERE, refits="--refits" in sys.argv)
