"""A yearly audit of one county: planned, drawn into files for visitors and for the county's own checks, and told.

Its files lie in `data/audits/MONTH`: `visitors.csv` is what independent visitors fill in, `county.csv` what the county
checks again without knowing what the visitors found, `audit.json` the strata (counts alone), `sample.parquet` who was
drawn and how probably. They appear in one step, are read by their owner alone, and are never drawn anew.
"""

import json
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fpml import lists
from fpml.county import County
from fpml.dates import AsOf, month_of
from fpml.errors import InputError, NotYetError, UsageError
from fpml.measure.audit import CHECKED_AGAIN, MONTHS, Answers, Estimate, Plan, Stratum, drawn, estimated, plan
from fpml.measure.metrics import Bools, Floats, Ints
from fpml.rules import hits, of_channel
from fpml.seen import ANSWERS

# Bands of score, by rank within the county: the highest 2 %, the next 18 %, the rest. Assumed.
BANDS = ((0.02, "highest scores"), (0.20, "middle scores"), (1.0, "the rest"))
VISITORS = ("number", "month", "village", "household_id", "met", "found", "fell")
COUNTY = ("number", "household_id", "checked", "confirmed", "fell")
_YES, _NO = ("yes", "true", "1", "是"), ("no", "false", "0", "否")


@dataclass(frozen=True)
class Ground:
    """Whom an audit draws from: households at risk at an as-of, the stratum of each, and what is thought of each."""

    as_of: AsOf
    households: tuple[str, ...]
    village: tuple[str, ...]
    stratum: Ints
    strata: tuple[Stratum, ...]


def ground(county: County, as_of: str | AsOf, *, fallen: float | None = None) -> Ground:
    """The strata of an as-of: what walks and declarations had noticed by then, by band of score.

    `fallen`: the share of all households thought to be below the line or to have been in the last twelve months; None:
    what the models say of the next twelve. Listed are thought to be, of a stratum's falls, as many as stood on lists of
    the last twelve months, weighted by their chance. Raises NotYetError where no model has learnt.
    """
    month = AsOf.parse(as_of)
    histories, models = county.at(month), county.models(month)
    if not models:
        raise NotYetError("audit", f"no model was trained by {month}", f"Run `fpml train --as-of {month}` first.")
    chance = _chance(lists.scores(histories, models, county.catalogue))
    rows = np.flatnonzero(~np.isnan(chance))
    chance, mine = chance[rows], histories.take(pa.array(rows))
    held = hits(mine, county.catalogue)
    noticed = np.zeros(rows.size, bool)
    for name in (*of_channel(county.catalogue, "walked"), *of_channel(county.catalogue, "declared")):
        noticed |= held[name]
    names = mine["household_id"].cast(pa.string())
    before = lists.listed_in(county.workspace.lists, [month.shift(-n) for n in range(MONTHS)])
    had = np.asarray(pc.is_in(names, value_set=pa.chunked_array([*before.values()], pa.string())), bool)
    if fallen is not None:
        chance = np.minimum(chance * fallen * rows.size / chance.sum(), 1.0)
    stratum, strata = _strata(chance, noticed, had)
    village = mine[f"{county.catalogue.county.village}__last__ever"].cast(pa.string()).to_pylist()
    return Ground(month, tuple(names.to_pylist()), tuple(v or "" for v in village), stratum, strata)


def _chance(scores: Mapping[tuple[str, int], Floats]) -> Floats:
    """Each row's chance at the longest horizon of the outcome that it is at risk of; NaN for who is at risk of none."""
    longest = {name: max(h for n, h in scores if n == name) for name, _ in scores}
    return np.fmax.reduce([scores[name, h] for name, h in longest.items()])


def _strata(chance: Floats, noticed: Bools, had: Bools) -> tuple[Ints, tuple[Stratum, ...]]:
    place = np.empty(chance.size)
    place[np.argsort(-chance, kind="stable")] = (np.arange(chance.size) + 1) / chance.size
    band = np.searchsorted([upto for upto, _ in BANDS], place)
    number = (band + len(BANDS) * ~noticed).astype(np.int64)
    out, found = np.full(chance.size, -1, np.int64), list[Stratum]()
    for n in range(2 * len(BANDS)):
        here = number == n
        if here.any():
            out[here] = len(found)
            walk = "noticed" if n < len(BANDS) else "not noticed"
            listed = float(np.clip((chance * had)[here].sum() / max(chance[here].sum(), 1e-12), 0.05, 0.95))
            name = f"{walk}, {BANDS[n % len(BANDS)][1]}"
            found.append(Stratum(name, int(here.sum()), float(chance[here].mean()), listed))
    return out, tuple(found)


@dataclass(frozen=True)
class Audit:
    """The audit of one as-of, where its files lie."""

    folder: Path

    @classmethod
    def of(cls, county: County, as_of: str | AsOf) -> "Audit":
        """A county's audit of a month; it need not have been drawn."""
        return cls(county.workspace.audits / str(AsOf.parse(as_of)))

    def draw(self, over: Ground, wanted: Plan, *, seed: int) -> pd.DataFrame:
        """Draws the year's sample and writes its files in one step; one row a household drawn.

        Drawn again with the same plan and seed it is the same. Raises UsageError where another was drawn before.
        """
        sample = drawn(over.households, over.stratum, wanted.visits, seed=seed)
        village = dict(zip(over.households, over.village, strict=True))
        sample["village"] = sample["household_id"].map(village)
        # Blind: which of those not found the county checks is drawn before anybody was asked, and stands in its file.
        sample["check"] = np.random.default_rng([seed, 1]).random(len(sample)) < CHECKED_AGAIN
        about = {"as_of": str(over.as_of), "seed": seed, "strata": [asdict(s) for s in wanted.strata],
                 "visits": list(wanted.visits), "half_width": wanted.half_width}  # fmt: skip
        if self.folder.exists():
            if self._about != about:
                problem = "drawn before, with another plan, seed or ledger"
                raise UsageError(f"audit {over.as_of}", problem, "Fill in the one that was drawn.")
            return sample
        self._write(sample, about)
        return sample

    def _write(self, sample: pd.DataFrame, about: dict[str, object]) -> None:
        half = self.folder.with_name(f".part-{self.folder.name}")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        (half / "audit.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        sample.to_parquet(half / "sample.parquet", index=False)
        blank = sample.assign(number=np.arange(1, len(sample) + 1), month=sample["month"] + 1)
        for name, columns in (("visitors", VISITORS), ("county", COUNTY)):
            blank.reindex(columns=list(columns), fill_value="").to_csv(
                half / f"{name}.csv", index=False, encoding="utf-8-sig"
            )
        for path in half.iterdir():
            _for_its_owner(path)
        half.replace(self.folder)

    def write_to_check(self, visitors: Path) -> tuple[Path, int]:
        """Writes whom the county checks again; where it lies, and how many."""
        whom, path = self.to_check(visitors), self.folder / "to_check.csv"
        half = path.with_suffix(".part")
        whom.to_csv(half, index=False, encoding="utf-8-sig")
        _for_its_owner(half)
        half.replace(path)
        return path, len(whom)

    @cached_property
    def _about(self) -> dict[str, object]:
        try:
            told: dict[str, object] = json.loads((self.folder / "audit.json").read_text(encoding="utf-8"))
            return told
        except (OSError, ValueError) as e:
            problem = f"its plan cannot be read ({type(e).__name__})"
            raise InputError(f"audit {self.folder.name}", problem, "Restore its folder from a copy.") from None

    @property
    def strata(self) -> list[Stratum]:
        """The strata that it was drawn from."""
        return [Stratum(**s) for s in self._about["strata"]]  # type: ignore[attr-defined]

    def to_check(self, visitors: Path) -> pd.DataFrame:
        """Whom the county checks again: all whom visitors found, and who was drawn for it; which is not said."""
        sample, told = self._sample(), self._filled(visitors, VISITORS)
        found, met = _answers(told["found"], "found", visitors), _answers(told["met"], "met", visitors)
        chosen = found | (sample["check"].to_numpy() & met)
        return sample.loc[chosen, ["household_id", "village"]].reset_index(drop=True)

    def estimate(self, county: County, visitors: Path, checks: Path) -> Estimate:
        """What the two filled-in files tell; who has not been met yet counts as not met. Raises InputError by rows."""
        told, again = self._filled(visitors, VISITORS), self._filled(checks, COUNTY)
        met, found = _answers(told["met"], "met", visitors), _answers(told["found"], "found", visitors)
        checked, confirmed = (_answers(again[c], c, checks) for c in ("checked", "confirmed"))
        fell = np.array([_month(t) for t in again["fell"]])
        as_of = AsOf.parse(str(self._about["as_of"])).month
        faults = {
            "found and not met": found & ~met,
            "confirmed and not checked": confirmed & ~checked,
            "checked and not met": checked & ~met,
            "found, and not checked by the county": found & ~checked,
            "confirmed without the month of the fall, within twelve of the as-of": confirmed
            & (abs(fell - as_of) > MONTHS),
        }
        problems = [f"{int(rows.sum())} rows {name}" for name, rows in faults.items() if rows.any()]
        if problems:
            raise InputError(f"audit {self.folder.name}", "; ".join(problems), "Mend these rows; nothing was counted.")
        sample = self._sample()
        listed = self._listed(county, sample["household_id"].to_numpy(), np.where(confirmed, fell, -1))
        stratum = sample["stratum"].to_numpy(np.int64)
        answers = Answers(stratum, met, found, checked, confirmed, listed)
        self._keep(sample, answers, fell, AsOf(month_of(county.ledger.known_span()[1])))
        return estimated(answers, self.strata)

    def _keep(self, sample: pd.DataFrame, answers: Answers, fell: Ints, now: AsOf) -> None:
        """Keeps what everybody who was met had said: models learn from it how probably a fall is seen (`fpml.seen`).

        An answer that was kept before is known since then, and another one from now on.
        """
        size = np.array([s.households for s in self.strata])[answers.stratum]
        found = answers.found & answers.confirmed
        visited = AsOf.parse(str(self._about["as_of"])).month + 1 + sample["month"].to_numpy(np.int64)
        told = pd.DataFrame({
            "household_id": sample["household_id"], "stratum": answers.stratum, "size": size, "visited": visited,
            "found": found, "fell": np.where(found, fell, -1), "listed": answers.listed, "known": now.month,
        })[answers.answered]  # fmt: skip
        path, half = self.folder / ANSWERS, self.folder / f".part-{ANSWERS}"
        if path.is_file():
            same = ["household_id", "found", "fell", "listed"]
            before = told[same].merge(pd.read_parquet(path)[[*same, "known"]], on=same, how="left")["known"]
            told["known"] = np.fmin(before.to_numpy(), now.month).astype(np.int64)
        half.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
        told.to_parquet(half, index=False)
        half.replace(path)

    def _listed(self, county: County, households: np.ndarray, fell: Ints) -> Bools:
        """Who stood on a list of the twelve months before the month in which it fell."""
        out = np.zeros(fell.size, bool)
        for month in np.unique(fell[fell >= 0]).tolist():
            here = np.flatnonzero(fell == month)
            before = lists.listed_in(county.workspace.lists, [AsOf(month - n) for n in range(1, MONTHS + 1)])
            known = {name for names in before.values() for name in names.to_pylist()}
            out[here] = [h in known for h in households[here]]
        return out

    def _sample(self) -> pd.DataFrame:
        if not self.folder.exists():
            remedy = f"Draw one first: fpml audit draw {self.folder.name}."
            raise NotYetError(f"audit {self.folder.name}", "none was drawn", remedy)
        return pd.read_parquet(self.folder / "sample.parquet")

    def _filled(self, path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
        """A filled-in file's rows in the order of the sample; who was drawn must be there once, and nobody else."""
        sample = self._sample()
        try:
            told = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except (OSError, ValueError) as e:
            problem = f"not to be read ({type(e).__name__})"
            raise InputError(f"audit {path.name}", problem, "Save it as CSV (UTF-8).") from None
        if missing := [c for c in columns if c not in told]:
            raise InputError(
                f"audit {path.name}", f"no column {', '.join(missing)}", "Fill in the file as it was drawn."
            )
        told = told.apply(lambda column: column.str.strip())
        twice, strange = (
            int(told["household_id"].duplicated().sum()),
            int((~told["household_id"].isin(sample["household_id"])).sum()),
        )
        lost = int((~sample["household_id"].isin(told["household_id"])).sum())
        if twice or strange or lost:
            problem = f"{twice} rows twice, {strange} of nobody drawn, {lost} missing"
            raise InputError(
                f"audit {path.name}", problem, "Leave all rows in the file; leave blank what is not known."
            )
        return told.set_index("household_id").loc[sample["household_id"]].reset_index()


def _for_its_owner(path: Path) -> None:
    """Lets nobody but the owner read a file that names households."""
    with suppress(OSError):
        os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)


def _answers(column: "pd.Series[str]", name: str, path: Path) -> Bools:
    """Yes as true; no and blank as false. Raises InputError with the number of cells that are neither."""
    said = column.str.lower()
    wrong = int((~said.isin([*_YES, *_NO, ""])).sum())
    if wrong:
        raise InputError(f"audit {path.name}", f"{wrong} cells of `{name}` are neither yes nor no", "Write yes or no.")
    return said.isin(_YES).to_numpy()


def _month(text: str) -> int:
    with suppress(UsageError):
        return AsOf.parse(text).month if text else -1
    return -1


__all__ = ["Audit", "Ground", "ground", "plan"]
