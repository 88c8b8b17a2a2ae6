"""What a model's ranking owes to each part: months of history, each department's data, and its coming in time.

At some origins the model is learnt as it is, from the last months alone, and without what each department tells; and
the same origins are ranked once more as if a department had told everything a month later. All are held against what
came, at the horizon that ranks lists and at the visits in force, on the same draws of villages.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml import engine, tracking
from fpml.backtests import FALL, IDENTIFIED, Tested
from fpml.catalogue import Catalogue
from fpml.challenge import apart
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.features import as_of_months, matrix
from fpml.measure.backtest import Narrow, Said
from fpml.measure.metrics import Floats
from fpml.measure.skill import OURS, told
from fpml.outcomes import risk_set
from fpml.risk import LearningRows, ModelDefinition, RiskModel, fit
from fpml.rolling import Rolling

# Months before an origin from which labels are learnt, where the county has more of them.
HISTORY = (6, 12, 24)
LESS, WITHOUT, LATE = "history", "without", "late"


@dataclass(frozen=True)
class Worth:
    """Frames of one row a variant, in which `gain` is what the model as it is has over it (95 %, villages drawn).

    `kind_of`: history (months learnt from), without (a department's data left out), late (it told all a month later);
    `skill`: average precision by kind of event and outcome; `found`: shares of falls found at the visits in force.
    """

    about: dict[str, object]
    skill: pd.DataFrame
    found: pd.DataFrame

    def as_json(self) -> dict[str, object]:
        """Everything as lists of rows, for a program; what is not a number is null."""
        frames = {"skill": self.skill, "found": self.found}
        return {"about": self.about} | {k: json.loads(v.to_json(orient="records")) for k, v in frames.items()}


def tells(name: str, catalogue: Catalogue) -> frozenset[str]:
    """The departments that a feature tells of: of a ratio the one above, not who counts the heads it is divided by."""
    if name in catalogue.coverage:
        return frozenset({catalogue.coverage[name].department})
    if name in catalogue.features:
        return frozenset({catalogue.indicators[catalogue.features[name].indicator].department})
    derived = catalogue.derived[name]
    if derived.kind in ("ratio", "context") and derived.of:
        return tells(derived.of, catalogue)
    return frozenset().union(*(tells(n, catalogue) for n in catalogue.behind(name)))


def without_department(definition: ModelDefinition, department: str, catalogue: Catalogue) -> ModelDefinition | None:
    """The definition without the features that tell of a department; None where it reads none of them, or no other."""
    of = [n for n in definition.features(catalogue) if department in tells(n, catalogue)]
    if not of or len(of) == len(definition.features(catalogue)):
        return None
    return definition.model_copy(update={"leave_out": (*definition.leave_out, *of)})


def recent(learning: LearningRows, since: int) -> LearningRows:
    """The learning rows of as-ofs from a month on; the share of negatives stays, so that probabilities do."""
    sample = learning.sample
    rows = np.flatnonzero(as_of_months(sample.rows) >= since)
    fewer = replace(
        sample,
        rows=sample.rows.take(pa.array(rows)),
        label={h: of[rows] for h, of in sample.label.items()},
        at_risk=sample.at_risk[rows],
        judged=sample.judged[rows],
        chance=sample.chance[rows],
        late={h: of[rows] for h, of in sample.late.items()},
    )
    return LearningRows(fewer, learning.histories, learning.at[rows], learning.seen, learning.once)


@dataclass(frozen=True)
class Parts:
    """A county's rolling backtest, and `late`: an origin's histories had some departments told all a month later."""

    rolling: Rolling
    late: Callable[[AsOf, Collection[str]], pa.Table]

    def origins(self, as_ofs: Sequence[AsOf], number: int) -> tuple[AsOf, ...]:
        """The latest of some as-ofs, a ranking horizon apart, whose labels are known by the last of all.

        Raises NotYetError where there is none.
        """
        county = self.rolling.lookback.catalogue.county
        horizon = max(map(county.ranking, county.outcomes))
        lag = max(o.known_after_months for o in county.outcomes.values())
        ready = [a for a in as_ofs if a.month + horizon + lag <= as_ofs[-1].month]
        if not ready:
            problem = f"no as-of has labels {horizon + lag} months after it"
            raise NotYetError(f"worth up to {as_ofs[-1]}", problem, "Take in more months.")
        return apart(ready, horizon)[-number:]

    def run(self, origins: Sequence[AsOf], *, times: int) -> Worth:
        """The worth of every part at some origins; kept as JSON in the reports, its figures in MLflow.

        Raises NotYetError where at none of the origins enough falls were known to learn from.
        """
        learning = self.rolling.learn(origins)
        said = [s for origin in origins for s in self._at(origin, learning)]
        if not said:
            problem = "at no origin were enough falls known to learn from"
            raise NotYetError(f"worth {origins[0]} to {origins[-1]}", problem, "Take in more months.")
        said = _of_all(said)
        report = reported(self.rolling.beside(said, times=times, warm=0))
        self._keep(report)
        return report

    def _at(self, origin: AsOf, learning: Mapping[str, LearningRows]) -> Iterator[Said]:
        """What each variant says at one origin, outcome by outcome."""
        catalogue = self.rolling.lookback.catalogue
        self.rolling.lookback.progress(f"the parts at {origin}")
        seen = self.rolling.at(origin)
        delayed: dict[str, pa.Table] = {}
        for name, definition in self.rolling.definitions.items():
            horizon = catalogue.county.ranking(definition.outcome)
            at_risk = risk_set(catalogue.county.outcomes[definition.outcome], seen, catalogue).at_risk
            mine = seen.filter(pa.array(at_risk))
            score: dict[str, Floats] = {}
            try:
                whole = fit(definition, learning[name], catalogue, origin=origin, run=engine.run)
            except NotYetError:
                continue
            score[OURS] = ranked(whole, mine, horizon, catalogue)
            for variant, model in self._less(definition, learning[name], origin):
                self.rolling.lookback.progress(f"{name} at {origin}: {variant}")
                score[variant] = ranked(model, mine, horizon, catalogue)
            for department in catalogue.departments:
                if without_department(definition, department, catalogue) is None:
                    continue
                if department not in delayed:
                    delayed[department] = self.late(origin, {department})
                later = aligned(delayed[department], mine["household_id"])
                score[f"{LATE}: {department}"] = ranked(whole, later, horizon, catalogue)
            narrow: dict[str, Narrow] = {k: v.astype(np.float32)[:, None] for k, v in score.items()}
            households = mine["household_id"].combine_chunks().cast(pa.string())
            yield Said(definition.outcome, origin, origin, households, (horizon,), narrow)

    def _less(
        self, definition: ModelDefinition, learning: LearningRows, origin: AsOf
    ) -> Iterator[tuple[str, RiskModel]]:
        """The models that learnt from less; none where too few falls were left."""
        catalogue = self.rolling.lookback.catalogue
        first = int(as_of_months(learning.sample.rows).min())
        for months in HISTORY:
            if origin.month - months > first:
                try:
                    fewer = recent(learning, origin.month - months)
                    yield f"{LESS}: {months} months", fit(definition, fewer, catalogue, origin=origin, run=engine.run)
                except NotYetError:
                    continue
        for department in catalogue.departments:
            if (asked := without_department(definition, department, catalogue)) is not None:
                yield f"{WITHOUT}: {department}", fit(asked, learning, catalogue, origin=origin, run=engine.run)

    def _keep(self, report: Worth) -> None:
        space = self.rolling.lookback.workspace
        space.reports.mkdir(parents=True, exist_ok=True)
        half = space.reports / ".part-worth.json"
        half.write_text(json.dumps(report.as_json(), indent=1, ensure_ascii=False), encoding="utf-8")
        half.replace(space.reports / "worth.json")
        params = {k: str(report.about[k]) for k in ("simulated", "falls", "policy", "visits")}
        gains = report.found.set_index("method")["found_gain"]
        finite = {f"found_gain/{m}".replace(": ", "/"): float(v) for m, v in gains.items() if np.isfinite(v)}
        tracking.log_figures(space.tracking(), name="worth", params=params, metrics=finite)


def ranked(model: RiskModel, histories: pa.Table, horizon: int, catalogue: Catalogue) -> Floats:
    """The probability of each row at a horizon."""
    return model.probability(matrix(histories, model.features, catalogue), horizon)


def aligned(histories: pa.Table, households: pa.Array) -> pa.Table:
    """The rows of some households in their order; of who has none, a row in which nothing is known."""
    at = pd.Index(histories["household_id"].to_pandas()).get_indexer(pd.Index(households.to_pandas()))
    return histories.take(pa.array(at, mask=at < 0))


def _of_all(said: Sequence[Said]) -> list[Said]:
    """Only the variants that spoke at every origin of an outcome, and of every outcome."""
    common = [m for m in said[0].score if all(m in s.score for s in said)]
    return [replace(s, score={m: s.score[m] for m in common}) for s in said]


def reported(tested: Tested) -> Worth:
    """Average precision and falls found of every variant, beside the model as it is."""
    kinds = (FALL, IDENTIFIED) if tested.truth else (IDENTIFIED,)
    skill = [judged.skill(tested.draws).assign(kind=kind) for kind in kinds for judged in tested.judged(kind)]
    if not skill:
        raise NotYetError("worth", "no origin has labels after it", "Take in more months, or begin earlier.")
    columns = ["kind", "outcome", "horizon", "method", "origins", "rows", "events", "auc",
               *told_columns("average_precision"), *told_columns("gain")]  # fmt: skip
    county = tested.catalogue.county
    about: dict[str, object] = {
        "simulated": county.simulated,
        "falls": "simulated truth" if tested.truth else "as records tell",
        "policy": tested.catalogue.fingerprint,
        "visits": county.visits,
        "origins": [str(o) for o in dict.fromkeys(s.origin for s in tested.said)],
        "draws": tested.times,
    }
    return Worth(about, pd.concat(skill, ignore_index=True)[columns], _found(tested))


def _found(tested: Tested) -> pd.DataFrame:
    """One row a variant: the share of falls its lists found at the visits in force, and how much less than ours."""
    visits, draws = tested.catalogue.county.visits, tested.draws
    walked = {m: tested.by(m).model_alone(visits) for m in tested.methods}
    falls = walked[OURS].falls()

    def share(method: str) -> Floats:
        found = walked[method].found()
        return np.divide(found, falls, out=np.full(found.size, np.nan), where=falls > 0)

    return pd.DataFrame(
        {"method": m, **told("found", draws.interval(share(m))),
         **told("found_gain", draws.interval(share(OURS) - share(m)))}
        for m in tested.methods
    )  # fmt: skip


def told_columns(name: str) -> tuple[str, str, str]:
    """The names under which an interval stands."""
    return name, f"{name}_low", f"{name}_high"
