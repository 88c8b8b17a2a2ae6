"""What a county's models learn from, and their learning: fitted, tuned, looked through for an outcome in disguise."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from fpml import engine, measure, tracking
from fpml.dates import AsOf
from fpml.features import KEY
from fpml.measure.backtest import taught
from fpml.models import Models
from fpml.past import Past
from fpml.risk import (
    Ahead,
    Budget,
    LearningRows,
    ModelDefinition,
    Once,
    RiskModel,
    Seen,
    Tuned,
    fit,
    sampled,
    tune,
    with_features,
    write_trees,
)
from fpml.seen import seen

Rows = Mapping[str, LearningRows]


@dataclass
class Last:
    """The learning rows that were made last, and of what."""

    key: object = None
    rows: Rows = field(default_factory=dict)


@dataclass(frozen=True)
class Lessons:
    """A county's months and its models; `last` outlives it, and is shared with the next."""

    past: Past
    models: Models
    last: Last

    def definitions(self, *models: str) -> dict[str, ModelDefinition]:
        """The definitions of some models; none named: of all."""
        return {name: self.models.definition(name) for name in models or self.models.names}

    def features(self, definitions: Iterable[ModelDefinition]) -> tuple[str, ...]:
        """The features that models read, and what methods and rules that they are held against read, in order."""
        catalogue = self.past.catalogue
        read = {n for d in definitions for n in d.features(catalogue)} | set(measure.needed(catalogue))
        return tuple(n for n in catalogue.names() if n in read)

    def rows(self, *origins: AsOf, definitions: Mapping[str, ModelDefinition] | None = None) -> Rows:
        """What each model (`definitions`: each of these) is to learn from at some origins; kept for the next call.

        Who was at risk and who fell is told by few features; all others are made of the rows that are sampled alone.
        """
        past, catalogue = self.past, self.past.catalogue
        wanted = definitions or self.definitions()
        key = (past.ledger.content, catalogue.fingerprint, origins, tuple(wanted.items()))
        if self.last.key != key:
            self.last.key, self.last.rows = None, {}
            latest = origins[-1]
            samples = {n: sampled(d, past.told(latest), catalogue, origins=origins) for n, d in wanted.items()}
            whole = past.held(latest)
            if whole is None:
                rows = pa.concat_tables([s.rows for s in samples.values()]).group_by(list(KEY)).aggregate([])
                whole = past.histories(*past.as_ofs(latest), rows=rows, names=self.features(wanted.values()))
            once = Once()
            self.last.rows = {n: with_features(s, whole, self._seen, once=once) for n, s in samples.items()}
            self.last.key = key
        return self.last.rows

    def _seen(self, origin: AsOf) -> Seen | None:
        """How probably falls are seen, as audits had told by an origin."""
        return seen(self.past.workspace, self.past.ledger, origin)

    def train(self, model: str, origin: AsOf, *, without: Collection[str] = ()) -> RiskModel:
        """See `County.train`."""
        definition, catalogue, space = self.models.definition(model), self.past.catalogue, self.past.workspace
        learning = self.rows(origin)[model]
        self.past.progress(f"training {model} at {origin}")
        fitted = fit(definition, learning, catalogue, origin=origin, without=without, run=engine.run)
        folder = space.artefacts / model / f"{origin}-{fitted.fingerprint}"
        fitted.save(folder)
        tracking.log_model(
            space.tracking(),
            name=model,
            folder=folder,
            params={"origin": str(origin), "policy": catalogue.fingerprint, "fingerprint": fitted.fingerprint},
            metrics={
                "rows": fitted.learnt.rows,
                "positive_labels": fitted.learnt.positive_labels,
                "households": fitted.learnt.households,
                **({"falls_weighted_from": fitted.learnt.effective} if fitted.learnt.effective else {}),
                **{f"calibration_slope_{h}m": c.slope for h, c in fitted.calibrations.items()},
            },
        )
        return fitted

    def disguised(self, model: str, origin: AsOf) -> tuple[measure.Disguise, ...]:
        """See `County.disguised`."""
        definition, catalogue = self.models.definition(model), self.past.catalogue
        learning, horizon = self.rows(origin)[model], catalogue.county.ranking(definition.outcome)
        x, label, _ = taught(definition, learning, catalogue, origin, horizon)
        return measure.disguised(x, definition.features(catalogue), label == 1, kept=learning.sample.kept(origin))

    def tune(self, model: str, last: AsOf, *, origins: int, budget: Budget, write: bool) -> Tuned:
        """See `County.tune`."""
        definition, past, space = self.models.definition(model), self.past, self.past.workspace
        ahead = Ahead.of(definition, past.catalogue, past.as_ofs(last), end=last, origins=origins)
        tuned = tune(
            definition,
            lambda: self.rows(*ahead.origins, last)[model],
            past.catalogue,
            ahead,
            study=space.studies / f"{model}.sqlite",
            known=f"{past.ledger.content} {past.catalogue.fingerprint}",
            budget=budget,
            run=engine.run,
            progress=past.progress,
        )
        if write:
            write_trees(space.definitions / f"{model}.yaml", tuned)
        return tuned
