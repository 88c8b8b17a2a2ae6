"""Months that have been, ready to be reviewed: their histories, what each was ranked by, and what came of it."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fpml import engine, lists, review
from fpml.audit import audited
from fpml.catalogue import Catalogue, Language
from fpml.dates import AsOf, month_of
from fpml.errors import NotYetError, UsageError
from fpml.features import as_of_months
from fpml.gathered import Gathered, narrowed
from fpml.ledger import Ledger
from fpml.lists import kept
from fpml.measure import Events, Panel, needed
from fpml.measure.metrics import Bools, Floats, Ints
from fpml.measure.visits import MOST_AS_OFS
from fpml.progress import Progress
from fpml.review import Review, Said, Sides, Study, Visits, written
from fpml.risk import RiskModel
from fpml.workspace import Workspace

Histories = Callable[..., pa.Table]
Models = Callable[[AsOf], Mapping[str, RiskModel]]
# Of so many months what came afterwards is looked at, where it is known already.
AFTER = 12
# The lists of so many months before are walked: a year, and as much again as parts the first month that is counted from
# the months in which all who stood on the first walked list have been left in peace (six, twelve).
BEFORE = 15
# Of so many as-ofs a review is made, and from so many draws of villages, where nothing else is asked.
MONTHS, TIMES = 12, 500
# The form of what is kept of a study, and of scores; another number where it changes.
GATHERED, SCORES = 3, 2


@dataclass(frozen=True)
class Lookback:
    """What a review needs of a county: its places on disk, its policy and ledger, and how histories are made."""

    workspace: Workspace
    catalogue: Catalogue
    ledger: Ledger
    histories: Histories
    models: Models
    progress: Progress

    def study(
        self,
        as_ofs: Sequence[AsOf],
        *,
        months: int,
        times: int = TIMES,
        audit: pd.DataFrame | None = None,
        also: Collection[str] = (),
    ) -> Study:
        """Everything that a review of the last `months` of some as-ofs is counted from.

        Counting begins with the first of them at which there was a model; the lists of fifteen months before are walked
        too, so that it is known who had been listed by then. `times`: draws of villages behind each interval; `audit`:
        see `fpml.audit`; `also`: features that proposals read. Raises NotYetError where no model had been trained by
        any of these as-ofs, UsageError where there are too many.
        """
        asked = as_ofs[-months:]
        models = {a: self.models(a) for a in asked}
        counted = tuple(a for a in asked if models[a])
        if not counted:
            where, problem = f"review {asked[0]} to {asked[-1]}", "no model had been trained by any of these months"
            raise NotYetError(where, problem, f"Run `fpml train --as-of {asked[0]}` first.")
        before = tuple(a for a in as_ofs if counted[0].month - BEFORE <= a.month < counted[0].month)
        if len(before) + len(counted) > MOST_AS_OFS:
            most = MOST_AS_OFS - len(before)
            raise UsageError("review", f"{len(counted)} as-ofs at once", f"Ask for {most} at the most.")
        models |= {a: self._models_before(a) for a in before}
        groups = (c.feature for _, c in self.catalogue.review.conditions())
        later = self.later(counted)
        told = self._gathered(
            {a: models[a] for a in (*before, *counted)}, later, needed(self.catalogue, (*groups, *also))
        )
        as_of_each = (*before, *counted, *later)
        panel = Panel(told.histories, as_of_each, len(before) + len(counted), self.catalogue, len(before))
        self.progress("rules and model side by side")
        return Study(
            sides=Sides.of(
                panel, told.score, told.falls, known_to=int(told.about["known_to"]), times=times, run=engine.run
            ),
            verified=Visits(*told.verified),
            identified=told.identified,
            causes=told.causes,
            below=told.below,
            truth=bool(told.about["truth"]),
            horizon=int(told.about["horizon"]),
            told_to=int(told.about["told_to"]),
            asked=len(asked),
            before=(len(before), sum(bool(models[a]) for a in before)),
            audit=None if audit is None else audited(panel, audit),
        )

    def _models_before(self, as_of: AsOf) -> Mapping[str, RiskModel]:
        """The models of an as-of that is not counted; none where they were learnt under another policy."""
        try:
            return self.models(as_of)
        except NotYetError:
            return {}

    def _gathered(
        self, listed: Mapping[AsOf, Mapping[str, RiskModel]], later: tuple[AsOf, ...], names: tuple[str, ...]
    ) -> Gathered:
        """What a study of some months is made of, from disk where it was made from the same.

        `listed`: the as-ofs at which lists are walked, each with its models; `later`: those that tell what came.
        """
        models = {str(a): sorted(m.fingerprint for m in told.values()) for a, told in listed.items()}
        made_from = [GATHERED, self.ledger.content, self.catalogue.fingerprint, models, names, [*map(str, later)]]
        digest = hashlib.sha256(json.dumps([made_from, self._truth]).encode()).hexdigest()[:16]
        path = self.workspace.cache / f"lookback-{digest}.arrow"
        with suppress(OSError, pa.ArrowException, KeyError, ValueError):
            return Gathered.load(path)
        table = narrowed(self.histories(*listed, *later, names=names))
        coded = table["household_id"].combine_chunks().dictionary_encode()
        panel = Panel(table.set_column(0, "household_id", coded), (*listed, *later), len(listed), self.catalogue)
        self.progress("what each month was ranked by")
        score, horizon = self._scores(panel, listed)
        events, causes, below, about = self.falls(panel)
        told_to = (np.datetime64(self.ledger.known_span()[1]) - np.datetime64("1970-01-01")).astype(int).item()
        entered, verified = panel.dated(self._standing("monitored")), self._verified(panel)
        whole = {"horizon": horizon, "told_to": told_to, **about}
        found = Gathered(panel.histories, score, below, events, causes, entered, verified, whole)
        found.save(path)
        return found

    def review(self, study: Study) -> Review:
        """The review of a study, with what it was reckoned from."""
        models = {m.fingerprint for a in study.sides.panel.counted for m in self.models(a).values()}
        stamps = {"ledger": str(self.ledger.version), "models": ", ".join(sorted(models))}
        return review.review(study, lambda rows: self._said(study, rows), stamps)

    def write(self, told: Review, language: Language) -> tuple[Path, Path]:
        """Writes a review as one page and as JSON into the reports, each in one step; where they lie."""
        name = f"review-{told.about['as_of']}" + (f"-{told.about['as_ofs']}m" if told.about["as_ofs"] != 1 else "")
        page, figures = (self.workspace.reports / f"{name}.{kind}" for kind in ("html", "json"))
        text = json.dumps(told.as_json(), ensure_ascii=False, indent=1)
        return written(page, told.html(language)), written(figures, text)

    def later(self, as_ofs: Sequence[AsOf]) -> tuple[AsOf, ...]:
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

    def falls(self, panel: Panel) -> tuple[Events, Ints, Bools, dict[str, int | bool]]:
        """Falls with their main causes, and which rows are below the line already and not in monitoring.

        With the last month that falls are known to (`known_to`), and whether they are the simulator's `truth`.
        """
        if not self._truth:
            events, below = panel.falls_told(), panel.below & ~panel.monitored
            return events, np.zeros(len(events), np.int64), below, {"known_to": panel.as_ofs[-1].month, "truth": False}
        columns = ["household_id", "month", "below", "failing", "monitored", "cause"]
        states = pq.read_table(self.workspace.truth / "states.parquet", columns=columns)
        events, bits, below = panel.true_falls(states)
        causes = np.where(bits > 0, np.log2(np.maximum(bits, 1)).astype(np.int64) + 1, 0)
        return events, causes, below, {"known_to": int(states["month"].to_numpy().max()), "truth": True}

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

    def _scores(self, panel: Panel, listed: Mapping[AsOf, Mapping[str, RiskModel]]) -> tuple[Floats, int]:
        """Each row's probability by which it is ranked (NaN: the model says nothing), and its horizon."""
        out, horizon = np.full(panel.household.size, np.nan), 0
        known = self.ledger.known_by_month()
        for at, (as_of, models) in enumerate(listed.items()):
            if not models:
                continue
            horizon = min(self.catalogue.county.ranking(name) for name in models)
            told = self.scores(as_of, models, known)
            place = panel.position(told["household_id"])
            row = np.where(place >= 0, panel.row[place, at], -1)
            here = row >= 0
            out[row[here]] = told["probability"].to_numpy()[here]
        return out, horizon

    def scores(
        self,
        as_of: AsOf,
        models: Mapping[str, RiskModel],
        by_month: Mapping[int, tuple[int, int]] | None = None,
        *,
        reckoned: tuple[pa.Table, lists.Standing] | None = None,
    ) -> pa.Table:
        """What an as-of was ranked by, from disk where it was reckoned from the same.

        `by_month`: what became known in each month (`Ledger.known_by_month`), where it has been counted; `reckoned`:
        histories of the as-of and how each household stands, where they are at hand.
        """
        counted = self.ledger.known_by_month() if by_month is None else by_month
        known = [sum(part) % 2**64 for part in zip(*(c for m, c in counted.items() if m <= as_of.month), strict=True)]
        horizons = {name: self.catalogue.county.ranking(name) for name in models}
        about = [SCORES, self.catalogue.meaning, horizons, sorted(m.fingerprint for m in models.values())]
        stamp = json.dumps([*about, known])
        path = self.workspace.scores / f"{as_of}.parquet"
        if (found := kept.kept(path, stamp)) is not None:
            return found
        self.progress(f"scores of {as_of}")
        table, stand = reckoned or (self.histories(as_of), None)
        stand = stand or lists.standing(table, models, self.catalogue)
        return kept.keep(path, table["household_id"], stand, stamp)

    def _said(self, study: Study, rows: Ints) -> list[Said | None]:
        """What the model's reasons say of some rows of the panel; None where it says nothing."""
        panel = study.sides.panel
        out: list[Said | None] = [None] * rows.size
        if not rows.size:
            return out
        wanted = panel.histories.take(pa.array(rows)).select(["household_id", "as_of"])
        everything = self.histories(*(panel.as_ofs[at] for at in np.unique(panel.at[rows])), rows=wanted)
        for at in np.unique(panel.at[rows]):
            mine, as_of = np.flatnonzero(panel.at[rows] == at), panel.as_ofs[at]
            table = everything.filter(pc.equal(everything["as_of"], pa.scalar(as_of.date, pa.date32())))
            names = wanted["household_id"].take(pa.array(mine)).to_pandas()
            place = pd.Index(table["household_id"].to_pandas()).get_indexer(names)
            told = self._reasons(table, self.models(as_of))
            for i, j in zip(mine, place, strict=True):
                out[i] = told.get(int(j))
        return out

    def _reasons(self, table: pa.Table, models: Mapping[str, RiskModel]) -> dict[int, Said]:
        """In words; cases are few, so that nothing is held against others of their village."""
        stand = lists.standing(table, models, self.catalogue)
        rows = np.flatnonzero(stand.outcome != "").tolist()
        known = lists.Known(AsOf(int(as_of_months(table)[0]))) if rows else None
        said: dict[Language, dict[int, lists.Told]] = {}
        for lang in ("zh", "en"):
            if known:
                said[lang] = lists.all_told(rows, models, stand, lists.Teller(table, self.catalogue, lang, known))
        out: dict[int, Said] = {}
        for row in rows:
            raising = {lang: _joined(told[row].raising, lang) for lang, told in said.items()}
            out[row] = Said(raising, {lang: _joined(told[row].lowering, lang) for lang, told in said.items()})
        return out


def _joined(told: Sequence[lists.Reason], language: Language) -> str:
    return ("；" if language == "zh" else "; ").join(r.text for r in told)
