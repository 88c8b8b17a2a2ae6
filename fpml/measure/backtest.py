"""Forward in time: at each origin every method says what it had learnt by then, of everybody who is at risk.

Models are learnt anew at every third origin, a quarter, and used until then: as a county does. What a method says is
held against what came in `fpml.measure.skill` (probabilities) and by walks of its lists (`fpml.measure.lead`).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.features import Run, as_of_months, matrix, natural, one_by_one
from fpml.measure import baselines
from fpml.measure.metrics import Floats, Ints
from fpml.measure.skill import OURS
from fpml.outcomes import labels, risk_set
from fpml.risk import LearningRows, ModelDefinition, RiskModel, fit, rearranged
from fpml.risk.shown import Matrix

LOGISTIC, PLAIN, MEAN_OF_TWO = "logistic regression", "LightGBM, default", "mean of the two"
PROBABLE = frozenset({OURS, LOGISTIC, PLAIN, MEAN_OF_TWO})
BEST_COLUMN, VILLAGE_MEAN, CHANCE = "best single column", "village mean", "chance"
Narrow = npt.NDArray[np.float32]
# Models are learnt anew after so many origins.
REFIT = 3


@dataclass(frozen=True)
class Said:
    """What every method said at one origin of the households at risk of one outcome.

    `score`: of each method, rows by horizons; of what is no probability one column serves all horizons. `learnt`: the
    origin at which models had been learnt.
    """

    outcome: str
    origin: AsOf
    learnt: AsOf
    households: pa.Array
    horizons: tuple[int, ...]
    score: Mapping[str, Narrow]

    def at(self, method: str, horizon: int) -> Floats:
        """A method's score of each row at a horizon."""
        of = self.score[method]
        column = self.horizons.index(horizon) if method in PROBABLE else 0
        return of[:, column].astype(np.float64)

    def save(self, path: Path) -> None:
        """Writes it in one step."""
        columns = {f"{m}/{j}": of[:, j] for m, of in self.score.items() for j in range(of.shape[1])}
        about = {"outcome": self.outcome, "origin": str(self.origin), "learnt": str(self.learnt),
                 "horizons": list(self.horizons)}  # fmt: skip
        table = pa.table({"household_id": self.households, **columns})
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        pq.write_table(table.replace_schema_metadata({"fpml": json.dumps(about)}), half, compression="zstd")
        half.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Said":
        """What was kept; raises OSError, pa.ArrowException, KeyError or ValueError where it is not whole."""
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[b"fpml"])
        score: dict[str, list[Narrow]] = {}
        for name in table.column_names[1:]:
            score.setdefault(name.rsplit("/", 1)[0], []).append(table[name].to_numpy())
        return cls(
            about["outcome"], AsOf.parse(about["origin"]), AsOf.parse(about["learnt"]),
            table["household_id"].combine_chunks(), tuple(about["horizons"]),
            {m: np.column_stack(parts) for m, parts in score.items()},
        )  # fmt: skip


@dataclass(frozen=True)
class Learners:
    """One outcome's methods as learnt at an origin, each from the same household-months."""

    model: RiskModel
    logistic: Mapping[int, baselines.Predict]
    plain: Mapping[int, baselines.Predict]
    village: Callable[[Ints], Floats]
    column: tuple[int, bool]
    below: str
    below_is_low: bool
    seed: int

    @classmethod
    def at(
        cls, definition: ModelDefinition, learning: LearningRows, catalogue: Catalogue, origin: AsOf, *, run: Run
    ) -> "Learners":
        """All methods, each from what had matured by the origin; raises NotYetError with too few known falls."""
        model = fit(definition, learning, catalogue, origin=origin, run=run)

        def linear(h: int) -> baselines.Predict:
            # A part of the negatives is enough for it, and it takes its time.
            x, y, _ = taught(definition, learning, catalogue, origin, h, dealt=True)
            return baselines.logistic_regression(x, y, kept=learning.sample.share_dealt(origin))

        def boosted(h: int) -> baselines.Predict:
            x, y, _ = taught(definition, learning, catalogue, origin, h)
            return baselines.plain_lightgbm(x, y, seed=definition.seed, kept=learning.sample.kept(origin))

        def beside() -> tuple[Mapping[int, baselines.Predict], Mapping[int, baselines.Predict]]:
            a, b = run(linear, model.horizons), run(boosted, model.horizons)
            return dict(zip(model.horizons, a, strict=True)), dict(zip(model.horizons, b, strict=True))

        key = ("beside", learning.sample.digest, definition.way, model.horizons, origin)
        logistic, plain = learning.once(key, beside)
        ranking = catalogue.county.ranking(definition.outcome)
        x, y, weight = taught(definition, learning, catalogue, origin, ranking)
        rows = _rows(learning, origin, ranking)
        own = learning.sample.at_risk[rows]
        if y[own].any():
            # Of those at risk alone: with `any_risk` the others would choose for them.
            x, y, weight, rows = x[own], y[own], weight[own], rows[own]
        homes = village(learning.histories.take(pa.array(learning.at[rows])), catalogue)
        below = catalogue.county.below_already
        return cls(
            model,
            logistic,
            plain,
            baselines.village_mean(homes, y, weight),
            baselines.best_column(x, y, weight),
            below.feature,
            below.comparison in ("below", "at_most"),
            definition.seed,
        )

    def say(self, seen: pa.Table, outcome: str, origin: AsOf, catalogue: Catalogue, *, run: Run = one_by_one) -> Said:
        """What each says of some histories of one as-of; `run` applies a function to horizons."""
        x = matrix(seen, self.model.features, catalogue)
        horizons = self.model.horizons
        within = catalogue.county.outcomes[outcome].observed == "within"

        def each(told: Mapping[int, baselines.Predict]) -> Floats:
            return np.column_stack(run(lambda h: told[h](x), horizons))

        score = {OURS: self.model.probabilities(x), LOGISTIC: each(self.logistic), PLAIN: each(self.plain)}
        score[MEAN_OF_TWO] = (score[LOGISTIC] + score[PLAIN]) / 2
        score = {m: rearranged(s) if within else s for m, s in score.items()}
        poor = natural(seen, self.below, catalogue).astype(np.float32)[:, None]
        column, high = self.column
        score |= {
            f"one column: {self.below}": baselines.one_column(poor, 0, high_is_bad=not self.below_is_low)[:, None],
            BEST_COLUMN: baselines.one_column(x, column, high_is_bad=high)[:, None],
            VILLAGE_MEAN: self.village(village(seen, catalogue))[:, None],
            CHANCE: baselines.chance(seen.num_rows, seed=self.seed + origin.month)[:, None],
        }
        households = seen["household_id"].combine_chunks().cast(pa.string())
        learnt = AsOf.parse(self.model.learnt.origin)
        # Halves of what is held are enough: a county's backtest holds a hundred million of them.
        narrow = {m: s.astype(np.float32) for m, s in score.items()}
        return Said(outcome, origin, learnt, households, horizons, narrow)


def _rows(learning: LearningRows, origin: AsOf, horizon: int, *, dealt: bool = False) -> Ints:
    sample = learning.sample
    rows = (sample.dealt if dealt else sample.learnt)(horizon, origin)
    return rows[learning.sample.judged[rows]]


def taught(
    definition: ModelDefinition,
    learning: LearningRows,
    catalogue: Catalogue,
    origin: AsOf,
    horizon: int,
    *,
    dealt: bool = False,
) -> tuple[Matrix, Ints, Floats]:
    """The matrix, labels and weights (household-months that each stands for) that the others learn from.

    With `any_risk`, as ours, from those at risk of other outcomes too.
    """
    rows = _rows(learning, origin, horizon, dealt=dealt)
    label = learning.sample.label[horizon][rows].astype(np.int64)
    x = matrix(learning.histories, definition.features(catalogue), catalogue, rows=learning.at[rows])
    return x, label, np.where(label == 1, 1.0, 1 / learning.sample.kept(origin))


def village(histories: pa.Table, catalogue: Catalogue) -> Ints:
    """The code of each row's village as known then; -1 where it is not."""
    code = natural(histories, f"{catalogue.county.village}__last__ever", catalogue)
    return np.nan_to_num(code, nan=-1).astype(np.int64)


def backtest(
    definitions: Mapping[str, ModelDefinition],
    learning: Mapping[str, LearningRows],
    at: Callable[[AsOf], pa.Table],
    catalogue: Catalogue,
    *,
    origins: Sequence[AsOf],
    every: int = REFIT,
    done: Callable[[AsOf], "list[Said] | None"] = lambda _: None,
    run: Run = one_by_one,
) -> Iterator[list[Said]]:
    """What all methods say at each origin, of each model; `at` gives an origin's whole histories.

    `done`: what was said at an origin before, where that was kept. Where too few falls are known for a model, nothing
    is said of its outcome.
    """
    learners: dict[str, tuple[AsOf, Learners | None]] = {}
    for place, origin in enumerate(origins):
        latest = origins[place - place % every]
        kept = done(origin)
        if kept is not None:
            yield kept
            continue
        for name, definition in definitions.items():
            learners[name] = _learnt(learners.get(name), latest, origin, partial(
                Learners.at, definition, learning[name], catalogue, run=run))  # fmt: skip
        speaking = {name: learner for name, (_, learner) in learners.items() if learner}
        if not speaking:
            yield []
            continue
        histories, told = at(origin), []
        for name, learner in speaking.items():
            outcome = definitions[name].outcome
            chosen = risk_set(catalogue.county.outcomes[outcome], histories, catalogue).at_risk
            told.append(learner.say(histories.filter(pa.array(chosen)), outcome, origin, catalogue, run=run))
        yield told


def _learnt(
    held: "tuple[AsOf, Learners | None] | None", latest: AsOf, origin: AsOf, learn: Callable[[AsOf], Learners]
) -> "tuple[AsOf, Learners | None]":
    """The learners of the latest refit; where too few falls were known by then, of the origin itself, or none."""
    if held is not None and held[1] and held[0] >= latest:
        return held
    for month in dict.fromkeys((latest, origin)):
        try:
            return month, learn(month)
        except NotYetError:
            continue
    return origin, None


def known_labels(told: pa.Table, said: Said, horizon: int, catalogue: Catalogue) -> Ints:
    """The label of each row of what was said, as known later; -1 where it is not.

    `told`: every as-of, of features those that outcomes read (`fpml.outcomes.told_by`).
    """
    months = as_of_months(told)
    origin = said.origin.month
    soon = told.filter(pa.array((months >= origin) & (months <= origin + horizon)))
    label = labels(catalogue.county.outcomes[said.outcome], soon, catalogue, horizon)
    now = as_of_months(soon) == origin
    of = pd.Series(label[now], index=pd.Index(soon["household_id"].filter(pa.array(now)).to_pandas()))
    return of.reindex(said.households.to_pandas()).fillna(-1).to_numpy(np.int64)
