"""Months that have been, ready to be reviewed: their histories, what each was ranked by, and what came of it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fpml import engine, lists, review
from fpml.catalogue import Catalogue, Language
from fpml.dates import AsOf, month_of
from fpml.errors import InputError, NotYetError
from fpml.features import matrix
from fpml.gathered import Gathered
from fpml.ledger import Ledger
from fpml.lists import kept
from fpml.measure import Events, Panel, needed
from fpml.measure.metrics import Bools, Floats, Ints
from fpml.progress import Progress
from fpml.review import Audited, Said, Sides, Study, Visits
from fpml.risk import RiskModel, contributions
from fpml.workspace import Workspace

Histories = Callable[..., pa.Table]
Models = Callable[[AsOf], Mapping[str, RiskModel]]
# Of so many months what came afterwards is looked at, where it is known already.
AFTER = 12
TIMES = 500
# The form of what is kept of a study; another number where it changes.
GATHERED = 1
COLUMNS_OF_AUDIT = "Write CSV with the columns household_id, as_of, probability, confirmed."


@dataclass(frozen=True)
class Lookback:
    """What a review needs of a county: its places on disk, its policy and ledger, and how histories are made."""

    workspace: Workspace
    catalogue: Catalogue
    ledger: Ledger
    histories: Histories
    models: Models
    progress: Progress

    def study(self, as_ofs: Sequence[AsOf], *, times: int = TIMES, audit: pd.DataFrame | None = None) -> Study:
        """Everything that a review of some as-ofs is counted from; intervals from so many draws of villages.

        `audit`: one row a household drawn (household_id, as_of, probability, confirmed). Raises NotYetError where no
        model had been trained by any of these as-ofs.
        """
        groups = tuple(c.feature for _, c in self.catalogue.review.conditions())
        months = (*as_ofs, *self._later(as_ofs))
        told = self._gathered(months, len(as_ofs), needed(self.catalogue, groups))
        panel = Panel(told.histories, months, len(as_ofs), self.catalogue)
        self.progress("rules and model side by side")
        return Study(
            sides=Sides.of(
                panel, told.score, told.falls, known_to=int(told.about["known_to"]), times=times, run=engine.run
            ),
            verified=Visits(*told.verified),
            identified=told.identified,
            causes=told.causes,
            truth=bool(told.about["truth"]),
            horizon=int(told.about["horizon"]),
            told_to=int(told.about["told_to"]),
            audit=None if audit is None else _audited(panel, audit),
        )

    def _gathered(self, months: tuple[AsOf, ...], lists: int, names: tuple[str, ...]) -> Gathered:
        """What a study of some months is made of, from disk where it was made from the same."""
        models = sorted(m.fingerprint for a in months[:lists] for m in self.models(a).values())
        made_from = [
            GATHERED,
            self.ledger.content,
            self.catalogue.fingerprint,
            models,
            names,
            [*map(str, months)],
            lists,
        ]
        digest = hashlib.sha256(json.dumps([made_from, self._truth]).encode()).hexdigest()[:16]
        path = self.workspace.cache / f"lookback-{digest}.arrow"
        with suppress(OSError, pa.ArrowException, KeyError, ValueError):
            return Gathered.load(path)
        table = self.histories(*months, names=names)
        coded = table["household_id"].combine_chunks().dictionary_encode()
        panel = Panel(table.set_column(0, "household_id", coded), months, lists, self.catalogue)
        self.progress("what each month was ranked by")
        score, horizon = self._scores(panel)
        events, causes, known_to, truth = self._falls(panel)
        told_to = (np.datetime64(self.ledger.known_span()[1]) - np.datetime64("1970-01-01")).astype(int).item()
        about = {"horizon": horizon, "known_to": known_to, "truth": truth, "told_to": told_to}
        entered, verified = panel.dated(self._standing("monitored")), self._verified(panel)
        found = Gathered(panel.histories, score, events, causes, entered, verified, about)
        found.save(path)
        return found

    def review(self, study: Study) -> review.Review:
        """The review of a study, with what it was reckoned from."""
        models = {m.fingerprint for a in study.sides.panel.as_ofs[: study.sides.lists] for m in self.models(a).values()}
        stamps = {"ledger": str(self.ledger.version), "models": ", ".join(sorted(models))}
        return review.review(study, lambda rows: self._said(study, rows), stamps)

    def _later(self, as_ofs: Sequence[AsOf]) -> tuple[AsOf, ...]:
        """As-ofs after these that the records' falls are read from; none where the truth is at hand."""
        if self._truth:
            return ()
        reached = self.ledger.known_span()[1]
        months = (as_ofs[-1].shift(n) for n in range(1, AFTER + 1))
        calendar = self.catalogue.county.as_of_months
        return tuple(m for m in months if m.month <= month_of(reached) and m.month % 12 + 1 in calendar)

    @property
    def _truth(self) -> bool:
        return self.catalogue.county.simulated and (self.workspace.truth / "states.parquet").is_file()

    def _falls(self, panel: Panel) -> tuple[Events, Ints, int, bool]:
        """Falls with their main causes, to which month they are known, and whether they are the simulator's truth."""
        if not self._truth:
            events = panel.falls_told()
            return events, np.zeros(len(events), np.int64), panel.as_ofs[-1].month, False
        columns = ["household_id", "month", "below", "failing", "monitored", "cause"]
        states = pq.read_table(self.workspace.truth / "states.parquet", columns=columns)
        events, bits = panel.true_falls(states)
        causes = np.where(bits > 0, np.log2(np.maximum(bits, 1)).astype(np.int64) + 1, 0)
        return events, causes, int(states["month"].to_numpy().max()), True

    def _standing(self, indicator: str) -> pa.Table:
        """An indicator's records as they stand now; none where the policy has no such indicator."""
        if indicator not in self.catalogue.indicators:
            return pa.table({"household_id": pa.array([], pa.string()), "event_date": pa.array([], pa.date32())})
        return self.ledger.standing(self.ledger.known_span()[1], indicator)

    def _verified(self, panel: Panel) -> tuple[Ints, Ints, Bools]:
        told = self._standing("verified")
        household = panel.position(told["household_id"])
        here = household >= 0
        day = told["event_date"].cast(pa.int32()).to_numpy().astype(np.int64)
        value = told["value"].to_numpy() if told.num_rows else np.zeros(0, np.int64)
        return household[here], day[here], value[here] == review.CONFIRMED

    def _scores(self, panel: Panel) -> tuple[Floats, int]:
        """Each row's probability at the first horizon (NaN: the model says nothing), and that horizon in months."""
        out, horizon = np.full(panel.household.size, np.nan), 0
        known = self.ledger.known_by_month()
        for at, as_of in enumerate(panel.as_ofs[: panel.lists]):
            models = self.models(as_of)
            if not models:
                continue
            horizon = min(min(m.calibrations) for m in models.values())
            told = self.scores(as_of, models, known)
            row = panel.row[panel.position(told["household_id"]), at]
            here = row >= 0
            out[row[here]] = told["probability"].to_numpy()[here]
        if not horizon:
            problem = "no model had been trained by any of these months"
            raise NotYetError(
                f"review {panel.as_ofs[0]} to {panel.as_ofs[panel.lists - 1]}",
                problem,
                f"Run `fpml train --as-of {panel.as_ofs[0]}` first.",
            )
        return out, horizon

    def scores(
        self, as_of: AsOf, models: Mapping[str, RiskModel], by_month: Mapping[int, int] | None = None
    ) -> pa.Table:
        """What an as-of was ranked by, from disk where it was reckoned from the same.

        `by_month`: how many rows of the ledger became known in each month, where they have been counted.
        """
        counted = self.ledger.known_by_month() if by_month is None else by_month
        known = sum(n for month, n in counted.items() if month <= as_of.month)
        stamp = json.dumps([self.catalogue.meaning, sorted(m.fingerprint for m in models.values()), known])
        path = self.workspace.scores / f"{as_of}.parquet"
        if (found := kept.kept(path, stamp)) is not None:
            return found
        self.progress(f"scores of {as_of}")
        table = self.histories(as_of)
        return kept.keep(path, table["household_id"], lists.standing(table, models, self.catalogue), stamp)

    def _said(self, study: Study, rows: Ints) -> list[Said | None]:
        """What the model's reasons say of some rows of the panel; None where it says nothing."""
        panel = study.sides.panel
        out: list[Said | None] = [None] * rows.size
        for at in np.unique(panel.at[rows]):
            mine = np.flatnonzero(panel.at[rows] == at)
            wanted = panel.histories.take(pa.array(rows[mine])).select(["household_id", "as_of"])
            table = self.histories(panel.as_ofs[at], rows=wanted)
            place = pd.Index(table["household_id"].to_pandas()).get_indexer(wanted["household_id"].to_pandas())
            told = self._reasons(table, self.models(panel.as_ofs[at]))
            for i, j in zip(mine, place, strict=True):
                out[i] = told.get(int(j))
        return out

    def _reasons(self, table: pa.Table, models: Mapping[str, RiskModel]) -> dict[int, Said]:
        stand = lists.standing(table, models, self.catalogue)
        out: dict[int, Said] = {}
        for name, model in models.items():
            rows = np.flatnonzero(stand.outcome == name)
            if not rows.size:
                continue
            x = matrix(table.take(pa.array(rows)), model.features, self.catalogue)
            parts = contributions(model, x, min(model.calibrations), self.catalogue)
            for i, row in enumerate(rows):
                out[int(row)] = Said(
                    *(
                        {lang: self._in_words(parts, model, table, (i, int(row)), lang)[up] for lang in ("zh", "en")}
                        for up in (0, 1)
                    )
                )
        return out

    def _in_words(
        self, parts: object, model: RiskModel, table: pa.Table, at: tuple[int, int], language: Language
    ) -> tuple[str, str]:
        both = lists.reasons(parts, model, table, *at, catalogue=self.catalogue, language=language)  # type: ignore[arg-type]
        stop = "；" if language == "zh" else "; "
        return stop.join(r.text for r in both[0]), stop.join(r.text for r in both[1])


def read_audit(path: Path) -> pd.DataFrame:
    """An audit's rows from a CSV file; raises InputError where it cannot be read."""
    try:
        told = pd.read_csv(path, dtype={"household_id": str, "as_of": str})
        return told.assign(confirmed=told["confirmed"].astype(str).str.lower().isin(("1", "true", "yes", "是")))
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f"audit {path.name}", f"not to be read ({type(e).__name__})", COLUMNS_OF_AUDIT) from None


def _audited(panel: Panel, audit: pd.DataFrame) -> Audited:
    """An audit's rows as the panel has them; raises InputError for one that it has not, or without a probability."""
    wanted = {"household_id", "as_of", "probability", "confirmed"}
    if missing := wanted - set(audit.columns):
        raise InputError("audit", f"no column {', '.join(sorted(missing))}", f"Give {', '.join(sorted(wanted))}.")
    home = panel.position(pa.array(audit["household_id"].astype(str)))
    months = np.array([AsOf.parse(str(a)).month for a in audit["as_of"]], np.int64)
    at = np.searchsorted([a.month for a in panel.as_ofs], months)
    at = np.minimum(at, len(panel.as_ofs) - 1)
    inside = (home >= 0) & (np.array([a.month for a in panel.as_ofs])[at] == months)
    row = np.where(inside, panel.row[home, at], -1)
    chance = audit["probability"].to_numpy(np.float64)
    unsound = ~((chance > 0) & (chance <= 1))
    if (row < 0).any() or unsound.any():
        problem = f"{int((row < 0).sum())} rows of nobody watched then, {int(unsound.sum())} without a probability"
        raise InputError("audit", problem, "Give households of these months, each with a probability above 0.")
    return Audited(row.astype(np.int64), 1 / chance, audit["confirmed"].to_numpy(bool))
