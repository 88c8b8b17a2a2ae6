"""One county's workspace opened: the verbs of fpml, the same for a notebook, the command line and the batch."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fpml import challenge, engine, lists, measure, quality, tracking
from fpml.backtests import Backtest
from fpml.catalogue import Catalogue, Language, Proposal, load
from fpml.dates import AsOf, as_ofs_between, month_of
from fpml.engine import Engine, Local
from fpml.errors import InputError, NotYetError, UsageError, did_you_mean
from fpml.features import COLUMNS, KEY, Asked, histories, read_later, records_behind
from fpml.households import LINKED_FORMAT, Linked, cohort, linked
from fpml.inbox import Inbox
from fpml.intake import Receipt
from fpml.ledger import Ledger, Reading, lent, shard_of
from fpml.lookback import MONTHS, TIMES, Lookback
from fpml.measure.backtest import taught
from fpml.outcomes import told_by
from fpml.progress import Progress, silent
from fpml.review import Review, Study, WhatIf, asking, written
from fpml.risk import (
    Ahead,
    Budget,
    LearningRows,
    ModelDefinition,
    RiskModel,
    Seen,
    Tuned,
    fit,
    load_definition,
    sampled,
    tune,
    with_features,
    write_trees,
)
from fpml.rolling import Rolling
from fpml.rules import hits
from fpml.seen import seen
from fpml.simulate import Foresight, Places, Plan, Style, begin, foresee, simulate
from fpml.vault import Vault
from fpml.verify import Visits
from fpml.visits import VisitReceipt
from fpml.watch import Watch
from fpml.workspace import DEFAULT_POLICY, Workspace, find, signing_key
from fpml.worth import Parts, Worth

# Of so many rows and more, what the last call left in memory is given back to the system before the next.
LARGE = 10_000_000
NOTHING: Mapping[str, ModelDefinition] = MappingProxyType({})


@dataclass(frozen=True)
class Then:
    """What a list was made from, and the versions of ledger and vault to read it in.

    A county opened so stays as it was then.
    """

    made: lists.MadeFrom
    version: int
    vault: int = 0


@dataclass
class County:
    """A workspace with its policy and its ledger. Verbs that return histories keep the last ones built.

    `then`: opened as it was when a list was made; None: as it stands. `engine`: who works on its histories, scores and
    reasons; models are fitted, tuned and backtested in this process.
    """

    workspace: Workspace
    catalogue: Catalogue
    progress: Progress = silent
    then: Then | None = None
    engine: Engine = field(default_factory=Local)
    _built: dict[tuple[object, ...], pa.Table] = field(default_factory=dict, repr=False)
    _ties: tuple[str, Linked] | None = field(default=None, repr=False)
    _loaded: dict[tuple[Path, int], RiskModel] = field(default_factory=dict, repr=False)
    _told_to: tuple[str, str, AsOf, pa.Table] | None = field(default=None, repr=False)
    _learnt_from: tuple[object, Mapping[str, LearningRows]] | None = field(default=None, repr=False)

    @property
    def ledger(self) -> Ledger:
        """The ledger as it stands now, or stood then."""
        return Ledger(self.workspace.ledger, version=self.then.version if self.then else None)

    def simulate(self, plan: Plan, *, style: Style = Style.RECORDS, processes: int | None = None) -> None:
        """Grows a simulated county: its deliveries into the deliveries folder, its truth apart; marks the policy so.

        Raises UsageError where the workspace holds a county that is not simulated: the two are never mixed.
        """
        if self.ledger.version >= 0 and not self.catalogue.county.simulated:
            problem = "it holds records that are not said to be simulated"
            raise UsageError(f"workspace {self.workspace.root}", problem, "Make a new one with `fpml init DIR`.")
        places = Places(self.workspace.deliveries, self.workspace.truth)
        begin(plan, places, style)
        self.workspace.mark_simulated(plan.profile.name.model_dump(), plan.own_line)
        self.catalogue = load(self.workspace.policy, DEFAULT_POLICY)
        simulate(plan, places, self.catalogue, style=style, progress=self._share, processes=processes)

    def foresee(self, plan: Plan, foresight: Foresight, *, processes: int | None = None) -> pa.Table:
        """The oracles of a simulated county: see `fpml.simulate.foresee`; written into its truth."""
        places = Places(self.workspace.deliveries, self.workspace.truth)
        return foresee(plan, places, self.catalogue, foresight, progress=self._share, processes=processes)

    def _share(self, what: str, share: float) -> None:
        self.progress(f"{what} the county", share)

    @property
    def inbox(self) -> Inbox:
        """Where its deliveries come in."""
        return Inbox(self.workspace, self.catalogue, self.progress)

    @property
    def visits(self) -> Visits:
        """What came back of its lists."""
        return Visits(self.workspace, self.catalogue, self.inbox)

    @property
    def watch(self) -> Watch:
        """What is watched of it from month to month."""
        return Watch(self.workspace, self.catalogue, self.ledger)

    def verify(self, files: Iterable[Path], *, received: date | None = None) -> list[VisitReceipt]:
        """Takes filled-in lists in, as having come on a day (None: today); what became of each: see `fpml.verify`."""
        return self.visits.take(files, received=received)[0]

    def intake(self, files: Iterable[Path] | None = None, *, today: date | None = None) -> list[Receipt]:
        """Takes delivery files (None: all that wait) into the ledger; what became of each.

        One that cannot be read whole is refused whole, and its receipt says why; the others go on.
        """
        return self.inbox.take(self.inbox.waiting(today=today) if files is None else files, today=today)

    def as_ofs(self, last: AsOf | None = None) -> tuple[AsOf, ...]:
        """Every as-of of the county's calendar that the ledger reaches, up to the last one given."""
        span = self.ledger.known_span()
        first, end = AsOf(month_of(span[0])), AsOf(month_of(span[1]))
        found = as_ofs_between(first, min(end, last) if last else end, self.catalogue.county.as_of_months)
        if not found:
            raise NotYetError(
                f"as-ofs up to {last or end}", f"nothing was known before {span[0]}", "Choose a later one."
            )
        return found

    def records(self, indicator: str, as_of: str | AsOf) -> pd.DataFrame:
        """The records of an indicator as they stood at an as-of: the latest version of each, values in their unit."""
        if indicator not in self.catalogue.indicators:
            raise UsageError(
                f"indicator `{indicator}`", "not in the catalogue", did_you_mean(indicator, self.catalogue.indicators)
            )
        table = self.ledger.standing(AsOf.parse(as_of).date, indicator)
        frame = table.to_pandas()
        definition = self.catalogue.indicators[indicator]
        frame["value"] = frame["value"] / 10**definition.decimals
        frame.attrs = {"unit": definition.unit.said("en"), "sentence": definition.name.said("en")}
        return frame

    def histories(
        self,
        *as_ofs: str | AsOf,
        names: Sequence[str] | None = None,
        rows: pa.Table | None = None,
        late: Collection[str] = (),
    ) -> pa.Table:
        """One row per watched household and as-of, with every feature; see `fpml.features`.

        `names`: only these features; `rows`: only these household_id and as_of (a sample to learn from); `late`: as if
        these departments had told of everything a month later. What is asked for whole is kept for the next call.
        """
        months = tuple(sorted({AsOf.parse(a) for a in as_ofs}))
        if not months:
            raise UsageError("histories", "no as-of given", "Give at least one, as 2024-05.")
        ledger = self.ledger
        reached = AsOf(month_of(ledger.known_span()[1]))
        if months[-1] > reached:
            raise NotYetError(f"as-of {months[-1]}", f"the ledger reaches {reached}", "Take in later deliveries first.")
        key = (ledger.content, self.catalogue.fingerprint, months)
        whole = names is None and rows is None and not late
        if whole and key in self._built:
            return self._built[key]
        if ledger.rows > LARGE:
            engine.give_back()
        self.progress(f"histories at {len(months)} as-of{'s' if len(months) > 1 else ''}")
        asked = Asked(months, None if names is None else tuple(names), rows)
        delayed = frozenset(n for n, i in self.catalogue.indicators.items() if i.department in late)
        read = self._lent(ledger)
        table = histories(
            partial(read_later, read.shard, delayed),
            read.shards,
            self.catalogue,
            asked,
            run=self.engine.run,
            linked=self._linked(ledger),
        )
        if whole:
            self._built.clear()
            self._built[key] = table
        return table

    def _lent(self, ledger: Ledger) -> Reading:
        """The ledger as whoever works on its shards reads it: in its copy, where the engine has one."""
        if not self.engine.ledger_copy:
            return ledger
        self.progress("the ledger's copy")
        return lent(ledger, self.engine.ledger_copy)

    def _linked(self, ledger: Ledger) -> Linked:
        """What shards must know of each other, kept on disk until the ledger changes.

        It can always be found anew: a file that cannot be read or written is no reason to stop.
        """
        if self._ties is None or self._ties[0] != ledger.content:
            path = self.workspace.cache / f"linked-{LINKED_FORMAT}-{ledger.content}.arrow"
            try:
                found = Linked.load(path)
            except (OSError, pa.ArrowException, KeyError):
                found = linked(self._lent(ledger), COLUMNS, self.engine.run)
                with suppress(OSError):
                    if found.size:
                        found.save(path)
                    for old in path.parent.glob("linked-*.arrow"):
                        if old != path:
                            old.unlink(missing_ok=True)
            self._ties = ledger.content, found
        return self._ties[1]

    def cohort(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per watched household at an as-of: as what it is watched (the first group of policy that holds)."""
        table = self.at(as_of)
        groups = [*self.catalogue.county.cohort, None]
        return pd.DataFrame(
            {
                "household_id": table["household_id"].to_pandas(),
                "watched_as": [groups[i] for i in cohort(table, self.catalogue)],
            }
        )

    def at(self, as_of: str | AsOf, *, names: Sequence[str] | None = None) -> pa.Table:
        """The histories of one as-of, taken from those built last where they hold it; `names`: these are enough."""
        month = AsOf.parse(as_of)
        ledger = self.ledger
        for (content, policy, months), table in self._built.items():
            if content == ledger.content and policy == self.catalogue.fingerprint and month in months:  # type: ignore[operator]
                return table.filter(pc.equal(table["as_of"], pa.scalar(month.date, pa.date32())))
        return self.histories(month, names=names)

    def frame(self, histories: pa.Table) -> pd.DataFrame:
        """Histories as a data frame in natural units (yuan), with units and sentences in `attrs`."""
        frame = histories.to_pandas()
        names = [n for n in self.catalogue.names() if n in frame]
        for name in names:
            decimals = self.catalogue.decimals(name)
            if decimals:
                frame[name] = frame[name] / 10**decimals
        frame.attrs = {
            "units": {n: self.catalogue.unit(n, "en") for n in names},
            "sentences": {n: self.catalogue.describe(n, "en") for n in names},
        }
        return frame

    def hits(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per household and rule that hits it at an as-of: whose rule, its channel, how grave, by when, why."""
        histories, lang = self.at(as_of), self.catalogue.county.language
        found = []
        for name, held in hits(histories, self.catalogue).items():
            rule = self.catalogue.rules[name]
            by_when = lists.deadline_in_words(rule, self.catalogue, lang)
            about = rule.department, rule.channel, rule.severity, by_when
            for r in np.flatnonzero(held):
                household = histories["household_id"][int(r)].as_py()
                found.append((household, name, *about, self._rule(name, histories, int(r))))
        columns = ["household_id", "rule", "department", "channel", "severity", "deadline", "evidence"]
        return pd.DataFrame(found, columns=columns)

    def evidence(
        self, household: str, as_of: str | AsOf, *, language: Language | None = None
    ) -> list[dict[str, object]]:
        """Every rule hit on one household at an as-of in full: values, thresholds in force, records and their dates."""
        histories, when = self.at(as_of), AsOf.parse(as_of)
        row = self._row(household, histories, when)
        one = histories.slice(row, 1)
        ledger = self.ledger
        shard = int(shard_of(pa.array([household]), ledger.shards)[0])
        incoming = self._linked(ledger).incoming(shard)
        parts = [t.select(COLUMNS) for t in (ledger.shard(shard, COLUMNS), incoming) if t is not None]
        told = pa.concat_tables(parts)
        return [
            lists.hit_in_full(
                name,
                one,
                0,
                lambda feature: records_behind(feature, household, told, when, self.catalogue),
                catalogue=self.catalogue,
                language=language or self.catalogue.county.language,
            )
            for name, held in hits(one, self.catalogue).items()
            if held[0]
        ]

    def _row(self, household: str, histories: pa.Table, as_of: AsOf) -> int:
        row: int = pc.index(histories["household_id"], pa.scalar(household)).as_py()
        if row < 0:
            raise UsageError("household", f"not watched at {as_of}", "Check its id and the as-of.")
        return row

    def quality(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per household and check that finds it at an as-of: records that do not fit together; lists nobody.

        `attrs`: what to look at for each check (`remedies`), and how many were judged and could not be (`counts`).
        """
        histories, lang = self.at(as_of), self.catalogue.county.language
        checks = self.catalogue.checks
        found = [
            (histories["household_id"][int(r)].as_py(), name, checks[name].name.said(lang))
            for name, held in quality.findings(histories, self.catalogue).items()
            for r in np.flatnonzero(held)
        ]
        frame = pd.DataFrame(found, columns=["household_id", "check", "sentence"])
        counts = quality.summary(histories, self.catalogue)[["found", "judged", "unknown"]]
        frame.attrs = {
            "remedies": {name: c.remedy.said(lang) for name, c in checks.items()},
            "counts": counts.to_dict("index"),
        }
        return frame

    @property
    def lookback(self) -> Lookback:
        """Its months that have been, as reviews need them."""
        space, catalogue = self.workspace, self.catalogue
        return Lookback(space, catalogue, self.ledger, self.histories, self.models, self.progress)

    def study(
        self,
        last: str | AsOf,
        *,
        months: int = MONTHS,
        times: int = TIMES,
        audit: pd.DataFrame | None = None,
        also: Collection[str] = (),
    ) -> Study:
        """What a review of the as-ofs up to `last` is counted from: rules and model side by side, and what came.

        `times`: draws of villages behind each interval; `audit`: see `fpml.audit`; `also`: features that proposals read
        and the policy's rules do not. Raises NotYetError where no model had been trained by then.
        """
        month = AsOf.parse(last)
        if months < 1 or times < 2:
            raise UsageError("review", f"{months} months, {times} draws", "Ask for a month and two draws at the least.")
        if self.as_ofs(month)[-1] != month:
            raise NotYetError(f"review {month}", "no as-of of the ledger", f"It reaches {self.as_ofs()[-1]}.")
        return self.lookback.study(self.as_ofs(month), months=months, times=times, audit=audit, also=also)

    def review(
        self, last: str | AsOf, *, months: int = MONTHS, times: int = TIMES, audit: pd.DataFrame | None = None
    ) -> Review:
        """Model hits held against rule hits over so many as-ofs up to `last`, with its alarms: see `fpml.review`."""
        told = self.lookback.review(self.study(last, months=months, times=times, audit=audit))
        alarms = [a.as_json(self.catalogue.watching) for a in self.watch.lately(AsOf.parse(last))]
        return replace(told, about={**told.about, "alarms": alarms})

    def keep_scores(
        self,
        as_of: str | AsOf,
        *,
        reckoned: tuple[pa.Table, lists.Standing] | None = None,
        by_month: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        """Keeps on disk what an as-of's list is ranked by, for reviews of many months; nothing without a model.

        `reckoned`: see `warning_list`; `by_month`: `Ledger.known_by_month`, where that has been counted.
        """
        month = AsOf.parse(as_of)
        if models := self.models(month):
            self.lookback.scores(month, models, by_month, reckoned=reckoned)

    def write_review(self, told: Review, language: Language | None = None) -> tuple[Path, Path]:
        """Writes a review as one page and as JSON into the reports, each in one step; where they lie."""
        name = f"review-{told.about['as_of']}" + (f"-{told.about['as_ofs']}m" if told.about["as_ofs"] != 1 else "")
        page, figures = (self.workspace.reports / f"{name}.{kind}" for kind in ("html", "json"))
        text = json.dumps(told.as_json(), ensure_ascii=False, indent=1)
        return written(page, told.html(language or self.catalogue.county.language)), written(figures, text)

    def what_if(
        self, last: str | AsOf, *, months: int = 24, times: int = 200, proposals: Iterable[Proposal] = ()
    ) -> WhatIf:
        """The as-ofs up to `last`, ready to be asked what another policy would have found.

        `proposals`: those whose new rules read what no rule of the policy does must be known before.
        """
        also = {c.feature for p in proposals for rule in p.adding.values() for _, c in rule.each()}
        return asking(self.study(last, months=months, times=times, also=also))

    def definition(self, model: str) -> ModelDefinition:
        """A model's definition from models/*.yaml."""
        path = self.workspace.definitions / f"{model}.yaml"
        if not path.is_file():
            known = [p.stem for p in self.workspace.definitions.glob("*.yaml")]
            raise UsageError(f"model `{model}`", "not defined", did_you_mean(model, known))
        return load_definition(path, self.catalogue)

    def model_names(self) -> tuple[str, ...]:
        """The models defined in this workspace."""
        return tuple(sorted(p.stem for p in self.workspace.definitions.glob("*.yaml")))

    def train(self, model: str, as_of: str | AsOf, *, without: Collection[str] = ()) -> RiskModel:
        """Fits a model on what had matured by the as-of, saves it, and registers it in MLflow."""
        definition, origin = self.definition(model), AsOf.parse(as_of)
        learning = self._lessons(origin)[model]
        self.progress(f"training {model} at {origin}")
        fitted = fit(definition, learning, self.catalogue, origin=origin, without=without, run=engine.run)
        folder = self.workspace.artefacts / model / f"{origin}-{fitted.fingerprint}"
        fitted.save(folder)
        tracking.log_model(
            self.workspace.tracking(),
            name=model,
            folder=folder,
            params={"origin": str(origin), "policy": self.catalogue.fingerprint, "fingerprint": fitted.fingerprint},
            metrics={
                "rows": fitted.learnt.rows,
                "positive_labels": fitted.learnt.positive_labels,
                "households": fitted.learnt.households,
                **({"falls_weighted_from": fitted.learnt.effective} if fitted.learnt.effective else {}),
                **{f"calibration_slope_{h}m": c.slope for h, c in fitted.calibrations.items()},
            },
        )
        return fitted

    def disguised(self, model: str, as_of: str | AsOf) -> tuple[measure.Disguise, ...]:
        """The features that a model trained at an as-of reads and that are its outcome in disguise, surest first."""
        definition, origin = self.definition(model), AsOf.parse(as_of)
        learning, horizon = self._lessons(origin)[model], self.catalogue.county.ranking(definition.outcome)
        x, label, _ = taught(definition, learning, self.catalogue, origin, horizon)
        names = definition.features(self.catalogue)
        return measure.disguised(x, names, label == 1, kept=learning.sample.kept(origin))

    def tune(
        self, model: str, end: str | AsOf | None = None, *, origins: int = 3, budget: Budget, write: bool = False
    ) -> Tuned:
        """Tries trees' parameters on what had matured by the end (None: the last as-of): see `fpml.risk.tuning`.

        Goes on with what was tried before on the same records, policy and definition. `write`: the best go into
        models/*.yaml.
        """
        definition, last = self.definition(model), self.as_ofs(AsOf.parse(end) if end else None)[-1]
        ahead = Ahead.of(definition, self.catalogue, self.as_ofs(last), end=last, origins=origins)
        tuned = tune(
            definition,
            lambda: self._lessons(*ahead.origins, last)[model],
            self.catalogue,
            ahead,
            study=self.workspace.studies / f"{model}.sqlite",
            known=f"{self.ledger.content} {self.catalogue.fingerprint}",
            budget=budget,
            run=engine.run,
            progress=self.progress,
        )
        if write:
            write_trees(self.workspace.definitions / f"{model}.yaml", tuned)
        return tuned

    def models(self, as_of: str | AsOf) -> dict[str, RiskModel]:
        """For each outcome that has one, the model trained last that could have been used at the as-of.

        Of a county opened as it was then, the models of then.
        """
        found: dict[str, RiskModel] = {}
        for name, folder in self.artefacts(as_of).items():
            model = self._model(self.workspace.artefacts / name / folder)
            if model.meaning != self.catalogue.meaning:
                problem = "learnt under a policy in which features or outcomes meant something else"
                raise NotYetError(f"model {name}", problem, f"Run `fpml train {name} --as-of {model.learnt.origin}`.")
            found[model.outcome] = model
        return found

    def artefacts(self, as_of: str | AsOf) -> Mapping[str, str]:
        """The folder of each model that `models` gives; it is named by what the model learnt up to, and what it is."""
        if self.then:
            return self.then.made.models
        origin = AsOf.parse(as_of)
        found: dict[str, str] = {}
        for name in self.model_names():
            folders = [
                p
                for p in (self.workspace.artefacts / name).glob("[0-9]*")
                if AsOf.parse(p.name[:7]) <= origin and (p / "model.json").is_file()
            ]
            if folders:
                found[name] = max(
                    folders, key=lambda p: (p.name[:7], (p / "model.json").stat().st_mtime_ns, p.name)
                ).name
        return found

    def _model(self, folder: Path) -> RiskModel:
        """The model in a folder, kept for the next call while its card is the same."""
        try:
            key = folder, (folder / "model.json").stat().st_mtime_ns
        except FileNotFoundError:
            problem = "a list was made with it, and it is gone"
            raise InputError(f"model {folder.name}", problem, "Restore models/artefacts from a copy.") from None
        if key not in self._loaded:
            self._loaded[key] = RiskModel.load(folder)
        return self._loaded[key]

    def scores(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per household at risk, outcome and horizon (months): the calibrated probability of a fall."""
        histories, models = self.at(as_of), self.models(as_of)
        if not models:
            raise NotYetError("models", f"none was trained by {as_of}", f"Run `fpml train --as-of {as_of}` first.")
        parts = []
        for (outcome, horizon), p in lists.scores(histories, models, self.catalogue, over=self.engine.over).items():
            rows = np.flatnonzero(~np.isnan(p))
            households = histories["household_id"].take(pa.array(rows)).to_pandas()
            parts.append(
                pd.DataFrame(
                    {"household_id": households, "outcome": outcome, "horizon": horizon, "probability": p[rows]}
                )
            )
        return pd.concat(parts, ignore_index=True)

    def warning_list(
        self,
        as_of: str | AsOf,
        *,
        language: Language | None = None,
        reckoned: tuple[pa.Table, lists.Standing] | None = None,
    ) -> lists.WarningList:
        """The ranked list of households to visit at an as-of.

        `reckoned`: the as-of's histories and how each household stands, where both are at hand.
        """
        histories, stand = reckoned or (self.at(as_of), None)
        if not histories.num_rows:
            raise NotYetError(f"list {as_of}", "nobody is watched then", "Take in that month's deliveries first.")
        return lists.draw_up(
            histories,
            self.models(as_of),
            self.catalogue,
            in_peace=self._in_peace(histories, AsOf.parse(as_of)),
            language=language or self.catalogue.county.language,
            ledger_version=self.then.made.ledger if self.then else self.ledger.version,
            stand=stand,
            dates=lambda households: self._known(households, AsOf.parse(as_of)),
            over=self.engine.over,
        )

    def _known(self, households: Sequence[str], as_of: AsOf) -> lists.Known:
        """What is known at an as-of of the dates of some households' records, and of departments' last months."""
        ledger = self._lent(self.ledger)
        self.progress("reasons")
        return lists.known(ledger.shard, ledger.shards, households, as_of, self.catalogue, self.engine.run)

    def desk(self) -> lists.Desk:
        """What its lists are written with; a county that has written none yet gets the key that signs them."""
        space, vault = self.workspace, self.vault
        version = (self.then.vault if self.then else vault.version) if vault else 0
        return lists.Desk(self.catalogue, signing_key(space), space.issued, engine.workers(), vault, version)

    @property
    def vault(self) -> Vault | None:
        """Where heads' names lie; None where policy keeps none."""
        return Vault(self.workspace.vault) if self.catalogue.county.names_kept else None

    def _in_peace(self, histories: pa.Table, as_of: AsOf) -> "np.typing.NDArray[np.bool_]":
        """Which rows of an as-of's histories are of households that lists published before had, and nothing new."""
        lately = lists.listed_lately(self.workspace.lists, as_of, self.then.made.earlier if self.then else None)
        earlier = [a for a in self.as_ofs(as_of) if a < as_of] if len(lately) else []
        if not earlier:
            return np.zeros(histories.num_rows, bool)
        day = pa.array([earlier[-1].date] * len(lately), pa.date32())
        before = self.histories(
            earlier[-1], names=measure.needed(self.catalogue), rows=pa.table({"household_id": lately, "as_of": day})
        )
        return lists.in_peace(histories, lately, before, self.catalogue)

    def explain(self, household: str, as_of: str | AsOf, *, language: Language | None = None) -> dict[str, object]:
        """One household at an as-of: its features, rule hits, probabilities and reasons, in words."""
        lang = language or self.catalogue.county.language
        histories = self.at(as_of)
        row = self._row(household, histories, AsOf.parse(as_of))
        models = self.models(as_of)
        stand = lists.standing(histories, models, self.catalogue)
        known = self._known([household], AsOf.parse(as_of))
        teller = lists.Teller(histories, self.catalogue, lang, known, lists.Yardstick(histories, self.catalogue))
        of_row = lists.all_told([row], models, stand, teller)[row]
        told: dict[str, object] = {
            "raises": [r.text for r in of_row.raising],
            "lowers": [r.text for r in of_row.lowering],
            "outcome": stand.outcome[row] or None,
        }
        return {
            "household": household,
            "as_of": str(AsOf.parse(as_of).date),
            "below_the_line": bool(stand.below[row]) if stand.state_known[row] else None,
            "probabilities": {
                f"{outcome} {h}m": round(float(p[row]), 4)
                for (outcome, h), p in stand.probability.items()
                if not np.isnan(p[row])
            },
            "rules": [self._rule(r, histories, row, lang) for r, held in stand.hits.items() if held[row]],
            "evidence": self.evidence(household, as_of, language=lang),
            **told,
            "history": {
                self.catalogue.describe(n, lang): self._value(n, histories, row, lang)
                for n in self.catalogue.model_features()
            },
        }

    def backtest(
        self, *models: str, first: str | AsOf | None = None, last: str | AsOf | None = None, times: int = 200
    ) -> Backtest:
        """Methods and rules held against what came, forward in time, all models together; see `fpml.backtests`.

        `first`, `last`: the first and last origin (None: of all as-ofs). What each origin's methods said is kept until
        something that they learnt from changes: a run that was stopped goes on.
        """
        origins = [a for a in self.as_ofs(AsOf.parse(last) if last else None) if not first or a >= AsOf.parse(first)]
        if not origins:
            raise NotYetError("backtest", f"no as-of from {first} on", f"It reaches {self.as_ofs()[-1]}.")
        return self.rolling(*models).run(origins, times=times)

    def worth(self, *models: str, last: str | AsOf | None = None, origins: int = 2, times: int = 200) -> Worth:
        """What the models' ranking owes to months of history, to each department, and to its coming in time.

        Learnt at so many origins a horizon apart, the latest that have labels by `last`; see `fpml.worth`.
        """
        names = self._learnt_features(self.definition(m) for m in models or self.model_names())
        parts = Parts(self.rolling(*models), lambda origin, who: self.histories(origin, names=names, late=who))
        return parts.run(parts.origins(self.as_ofs(AsOf.parse(last) if last else None), origins), times=times)

    def challenge(
        self, model: str, challenger: Path, *, last: str | AsOf | None = None, times: int = 500, promote: bool = False
    ) -> challenge.Verdict:
        """Whether a definition in a file is to take the place of a model's own; see `fpml.challenge`.

        `promote`: where it is, it does (models/MODEL.yaml), and the one before lies beside it (MODEL.yaml.before).
        """
        other = load_definition(challenger, self.catalogue)
        outcome = self.definition(model).outcome
        if other.outcome != outcome:
            raise UsageError(challenger.name, f"it is of {other.outcome}, {model} of {outcome}", "Name that model.")
        months, lag = self.catalogue.county.ranking(outcome), self.catalogue.county.outcomes[outcome].known_after_months
        origins = challenge.mature(self.as_ofs(AsOf.parse(last) if last else None), months, lag)
        both = [r.tested(origins, times=times, warm=0) for r in (self.rolling(), self.rolling(instead={model: other}))]
        verdict = challenge.decided(model, outcome, *both)
        if promote and verdict.promoted:
            self.workspace.promote(model, challenger)
        return verdict

    def rolling(self, *models: str, instead: Mapping[str, ModelDefinition] = NOTHING) -> Rolling:
        """What backtests of some models (none named: of all) are made with; `instead`: definitions for their own."""
        definitions = {name: self.definition(name) for name in models or self.model_names()} | dict(instead)
        features = self._learnt_features(definitions.values())
        return Rolling(
            self.lookback,
            definitions,
            lambda asked: self._lessons(*asked, definitions=definitions),
            lambda: self._told(self.as_ofs()[-1]),
            lambda origin: self.at(origin, names=features),
        )

    def _lessons(
        self, *origins: AsOf, definitions: Mapping[str, ModelDefinition] = NOTHING
    ) -> Mapping[str, LearningRows]:
        """What each model of the workspace is to learn from at some origins; kept for the next call.

        Who was at risk and who fell is told by few features; all others are made of the rows that are sampled alone.
        """
        definitions = definitions or {name: self.definition(name) for name in self.model_names()}
        key = (self.ledger.content, self.catalogue.fingerprint, origins, tuple(definitions.items()))
        if self._learnt_from is None or self._learnt_from[0] != key:
            self._learnt_from = None
            last = origins[-1]
            samples = {n: sampled(d, self._told(last), self.catalogue, origins=origins) for n, d in definitions.items()}
            whole = self._held(last)
            if whole is None:
                rows = pa.concat_tables([s.rows for s in samples.values()]).group_by(list(KEY)).aggregate([])
                whole = self.histories(*self.as_ofs(last), rows=rows, names=self._learnt_features(definitions.values()))
            self._learnt_from = key, {n: with_features(s, whole, self._seen) for n, s in samples.items()}
        return self._learnt_from[1]

    def _seen(self, origin: AsOf) -> Seen | None:
        """How probably falls are seen, as audits had told by an origin."""
        return seen(self.workspace, self.ledger, origin)

    def _learnt_features(self, definitions: Iterable[ModelDefinition]) -> tuple[str, ...]:
        """The features that models read, and what methods and rules that they are held against read, in order."""
        read = {n for d in definitions for n in d.features(self.catalogue)} | set(measure.needed(self.catalogue))
        return tuple(n for n in self.catalogue.names() if n in read)

    def _told(self, last: AsOf) -> pa.Table:
        """Who was at risk and who fell at every as-of up to the last (perhaps later too), in the features that tell."""
        if (held := self._held(last)) is not None:
            return held
        key = self.ledger.content, self.catalogue.fingerprint
        if self._told_to is None or self._told_to[:2] != key or self._told_to[2] < last:
            self._told_to = None
            self._told_to = *key, last, self.histories(*self.as_ofs(last), names=told_by(self.catalogue))
        return self._told_to[3]

    def _held(self, last: AsOf) -> pa.Table | None:
        """Histories of every as-of up to the last (perhaps later too), where those built last go as far."""
        for (content, policy, months), table in self._built.items():
            reaches = set(self.as_ofs(last)) <= set(months)  # type: ignore[call-overload]
            if content == self.ledger.content and policy == self.catalogue.fingerprint and reaches:
                return table
        return None

    def _rule(self, rule: str, histories: pa.Table, row: int, language: Language | None = None) -> str:
        lang = language or self.catalogue.county.language
        return lists.rule_in_words(rule, histories, row, catalogue=self.catalogue, language=lang)

    def _value(self, name: str, histories: pa.Table, row: int, language: Language) -> str:
        return lists.value_in_words(name, histories, row, self.catalogue, language)


def open_county(folder: Path | str, *, progress: Progress = silent, engine: Engine | None = None) -> County:
    """The county whose workspace lies in a folder; `engine` (None: this process) works on its shards."""
    workspace = find(folder)
    return County(workspace, load(workspace.policy, DEFAULT_POLICY), progress, engine=engine or Local())
