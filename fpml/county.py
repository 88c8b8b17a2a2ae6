"""One county's workspace opened: the verbs of fpml, the same for a notebook, the command line and the batch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml import challenge, engine, lists, measure
from fpml.account import Account, framed
from fpml.backtests import Backtest
from fpml.catalogue import Catalogue, Language, Proposal, load
from fpml.dates import AsOf
from fpml.engine import Engine, Local
from fpml.errors import NotYetError, UsageError
from fpml.inbox import Inbox
from fpml.intake import Receipt
from fpml.ledger import Ledger
from fpml.lessons import Last, Lessons
from fpml.lookback import MONTHS, TIMES, Lookback
from fpml.models import Loaded, Models
from fpml.past import Built, Past, Then
from fpml.progress import Progress, silent
from fpml.review import Review, Study, WhatIf, asking
from fpml.risk import Budget, ModelDefinition, RiskModel, Tuned, load_definition
from fpml.rolling import Rolling
from fpml.simulate import Foresight, Places, Plan, Style, begin, foresee, simulate
from fpml.vault import Vault
from fpml.verify import Visits
from fpml.visits import VisitReceipt
from fpml.watch import Watch
from fpml.workspace import DEFAULT_POLICY, Workspace, find, signing_key
from fpml.worth import Parts, Worth

NOTHING: Mapping[str, ModelDefinition] = MappingProxyType({})


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
    _built: Built = field(default_factory=Built, repr=False)
    _loaded: Loaded = field(default_factory=dict, repr=False)
    _last: Last = field(default_factory=Last, repr=False)

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
    def past(self) -> Past:
        """Its months as its ledger tells them."""
        return Past(self.workspace, self.catalogue, self.ledger, self.progress, self.engine, self._built)

    @property
    def trained(self) -> Models:
        """Its models; of a county opened as it was then, those of then."""
        made = self.then.made.models if self.then else None
        return Models(self.workspace, self.catalogue, made, self._loaded)

    @property
    def lessons(self) -> Lessons:
        """What its models learn from."""
        return Lessons(self.past, self.trained, self._last)

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

    def records(self, indicator: str, as_of: str | AsOf) -> pd.DataFrame:
        """The records of an indicator as they stood at an as-of: the latest version of each, values in their unit."""
        return self.account().records(indicator, as_of)

    def as_ofs(self, last: AsOf | None = None) -> tuple[AsOf, ...]:
        """Every as-of of the county's calendar that the ledger reaches, up to the last one given."""
        return self.past.as_ofs(last)

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
        return self.past.histories(*as_ofs, names=names, rows=rows, late=late)

    def at(self, as_of: str | AsOf, *, names: Sequence[str] | None = None) -> pa.Table:
        """The histories of one as-of, taken from those built last where they hold it; `names`: these are enough."""
        return self.past.at(as_of, names=names)

    def cohort(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per watched household at an as-of: as what it is watched (the first group of policy that holds)."""
        return self.account().cohort(as_of)

    def frame(self, histories: pa.Table) -> pd.DataFrame:
        """Histories as a data frame in natural units (yuan), with units and sentences in `attrs`."""
        return framed(histories, self.catalogue)

    def account(self, language: Language | None = None) -> Account:
        """What is told of its households, in words of a language (None: the county's)."""
        return Account(self.past, self.trained, language or self.catalogue.county.language)

    def hits(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per household and rule that hits it at an as-of: whose rule, its channel, how grave, by when, why."""
        return self.account().hits(as_of)

    def evidence(
        self, household: str, as_of: str | AsOf, *, language: Language | None = None
    ) -> list[dict[str, object]]:
        """Every rule hit on one household at an as-of in full: values, thresholds in force, records and their dates."""
        return self.account(language).evidence(household, as_of)

    def explain(self, household: str, as_of: str | AsOf, *, language: Language | None = None) -> dict[str, object]:
        """One household at an as-of: its features, rule hits, probabilities and reasons, in words."""
        return self.account(language).explain(household, as_of)

    def quality(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per household and check that finds it at an as-of: records that do not fit together; lists nobody.

        `attrs`: what to look at for each check (`remedies`), and how many were judged and could not be (`counts`).
        """
        return self.account().quality(as_of)

    @property
    def lookback(self) -> Lookback:
        """Its months that have been, as reviews need them."""
        return self._lookback(self.past)

    def _lookback(self, past: Past) -> Lookback:
        return Lookback(self.workspace, self.catalogue, past.ledger, past.histories, self.models, self.progress)

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
        return self.lookback.write(told, language or self.catalogue.county.language)

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
        return self.trained.definition(model)

    def model_names(self) -> tuple[str, ...]:
        """The models defined in this workspace."""
        return self.trained.names

    def models(self, as_of: str | AsOf) -> dict[str, RiskModel]:
        """For each outcome that has one, the model trained last that could have been used at the as-of.

        Of a county opened as it was then, the models of then.
        """
        return self.trained.at(as_of)

    def train(self, model: str, as_of: str | AsOf, *, without: Collection[str] = ()) -> RiskModel:
        """Fits a model on what had matured by the as-of, saves it, and registers it in MLflow."""
        return self.lessons.train(model, AsOf.parse(as_of), without=without)

    def disguised(self, model: str, as_of: str | AsOf) -> tuple[measure.Disguise, ...]:
        """The features that a model trained at an as-of reads and that are its outcome in disguise, surest first."""
        return self.lessons.disguised(model, AsOf.parse(as_of))

    def tune(
        self, model: str, end: str | AsOf | None = None, *, origins: int = 3, budget: Budget, write: bool = False
    ) -> Tuned:
        """Tries trees' parameters on what had matured by the end (None: the last as-of): see `fpml.risk.tuning`.

        Goes on with what was tried before on the same records, policy and definition. `write`: the best go into
        models/*.yaml.
        """
        last = self.as_ofs(AsOf.parse(end) if end else None)[-1]
        return self.lessons.tune(model, last, origins=origins, budget=budget, write=write)

    def scores(self, as_of: str | AsOf) -> pd.DataFrame:
        """One row per household at risk, outcome and horizon (months): the calibrated probability of a fall."""
        return self.account().scores(as_of)

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
            dates=lambda households: self.past.known(households, AsOf.parse(as_of)),
            over=self.engine.over,
        )

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
        names = self.lessons.features(self.lessons.definitions(*models).values())
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
        past = self.past  # one ledger throughout, whatever is taken in meanwhile
        lessons = Lessons(past, self.trained, self._last)
        definitions = lessons.definitions(*models) | dict(instead)
        features = lessons.features(definitions.values())
        return Rolling(
            self._lookback(past),
            definitions,
            lambda asked: lessons.rows(*asked, definitions=definitions),
            lambda: past.told(past.as_ofs()[-1]),
            lambda origin: past.at(origin, names=features),
        )


def open_county(folder: Path | str, *, progress: Progress = silent, engine: Engine | None = None) -> County:
    """The county whose workspace lies in a folder; `engine` (None: this process) works on its shards."""
    workspace = find(folder)
    return County(workspace, load(workspace.policy, DEFAULT_POLICY), progress, engine=engine or Local())
