"""The trees' parameters by trial: judged forward in time, inside labels that had matured by a given end.

The later half of the as-ofs whose labels had matured is cut into runs, one an origin. A trial's trees are fitted on
what was known at a run's first as-of, and rank the households at risk at all as-ofs of the run. No later label and no
later record has a say, so a report counts from origins after that end.

Whole trials alone are kept, in a study on disk, and what is tried next follows from those and the seed: a run stopped
anywhere goes on as if it had not been.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, log_loss

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError, UsageError
from fpml.features import Run, as_of_months, matrix, one_by_one
from fpml.lock import alone
from fpml.outcomes import matured
from fpml.progress import Progress, silent
from fpml.risk.definition import ModelDefinition, Trees
from fpml.risk.learning import LearningRows
from fpml.risk.model import learn
from fpml.risk.shown import Matrix, Shown

if TYPE_CHECKING:
    import optuna

Floats = npt.NDArray[np.float64]
# At the first so many trials parameters are drawn by chance; the definition's own come before them.
BY_CHANCE = 10
# Average precision closer than this is a tie, and the log loss decides.
DIGITS = 4
# Of so few falls in a run no average precision is told.
LEAST_FALLS = 20
_NOTE = "# Trees: `fpml tune`"


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many minutes of this run, or when the study has so many trials (None: no limit)."""

    minutes: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.minutes, self.trials) if v is not None]
        if not given or not all(math.isfinite(v) and v > 0 for v in given):
            raise UsageError("tuning", "no budget", "Give minutes or a number of trials, above 0.")


@dataclass(frozen=True)
class Ahead:
    """What trials are judged by: origins and, for each, the as-ofs from it up to the next; all matured by `end`."""

    end: AsOf
    runs: tuple[tuple[AsOf, ...], ...]

    @property
    def origins(self) -> tuple[AsOf, ...]:
        """The first as-of of each run: what was known then is learnt from."""
        return tuple(run[0] for run in self.runs)

    @classmethod
    def of(
        cls, definition: ModelDefinition, catalogue: Catalogue, as_ofs: Sequence[AsOf], *, end: AsOf, origins: int
    ) -> "Ahead":
        """So many origins in the later half of the as-ofs judged by `end`; raises NotYetError where there are fewer."""
        outcome, horizon = catalogue.county.outcomes[definition.outcome], catalogue.county.ranking(definition.outcome)
        months = np.array([a.month for a in as_ofs], np.int64)
        judged = [a for a, there in zip(as_ofs, matured(months, horizon, outcome, end.month), strict=True) if there]
        later = judged[len(judged) // 2 :]
        if origins < 1:
            raise UsageError("tuning", f"{origins} origins", "Ask for one at the least.")
        if len(later) < origins:
            problem = f"{len(later)} as-ofs in the later half of those whose labels had matured by {end}"
            raise NotYetError("tuning", problem, f"Ask for fewer origins than {origins}, or a later end.")
        edges = np.linspace(0, len(later), origins + 1).round().astype(int)
        return cls(end, tuple(tuple(later[a:b]) for a, b in pairwise(edges)))


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what it came to, a mean over origins; `seconds` it took."""

    trees: Trees
    average_precision: float
    log_loss: float
    seconds: float

    @property
    def order(self) -> tuple[float, float]:
        """Smallest is best."""
        return -round(self.average_precision, DIGITS), self.log_loss


@dataclass(frozen=True)
class Tuned:
    """The trials of a study in order: the first is the definition's own parameters. `tried`: of them in this run."""

    model: str
    ahead: Ahead
    trials: tuple[Trial, ...]
    tried: int

    @property
    def best(self) -> Trial:
        """The trial of the highest average precision; of those that tie the lowest log loss, then the earliest."""
        return min(self.trials, key=lambda t: t.order)

    def as_yaml(self) -> str:
        """The best parameters as they stand in models/*.yaml."""
        rows = (f"  {k}: {_plain(v)}" for k, v in self.best.trees.model_dump().items())
        return "\n".join(["trees:", *rows]) + "\n"


def tune(
    definition: ModelDefinition,
    learning: Callable[[], LearningRows],
    catalogue: Catalogue,
    ahead: Ahead,
    *,
    study: Path,
    known: str,
    budget: Budget,
    run: Run = one_by_one,
    progress: Progress = silent,
) -> Tuned:
    """Tries parameters until the budget is spent: see the module.

    `learning`: gives a sample for all origins and the end; it is asked only where a trial is still to be made. `study`:
    the SQLite file; `known`: what tells one ledger and policy from another, so that only trials on the same rows are
    compared. At least one trial is made. One is begun only where, taking as long as the longest before, it would end
    within the minutes given. Raises NotYetError where an origin has too few falls.
    """
    began = time.monotonic()
    with alone(study.with_suffix(".lock"), f"tuning {definition.outcome}"):
        kept = _Study(study, _name(definition, ahead, known), definition)
        held = len(kept.trials)
        stages = None
        while not _spent(budget, kept.trials, time.monotonic() - began, made=len(kept.trials) - held):
            if stages is None:
                rows = learning()
                stages = [_Stage.of(definition, rows, catalogue, ahead, i) for i in range(len(ahead.runs))]
            tell = _teller(progress, budget, kept.trials, began)
            parameters = kept.next(definition.seed)
            kept.add(parameters, _tried(definition, kept.trees(parameters), stages, catalogue, run, tell))
        return Tuned(definition.outcome, ahead, tuple(kept.trials), len(kept.trials) - held)


def write_trees(path: Path, tuned: Tuned) -> None:
    """Puts the best parameters into a model's file in one step; all else in it, comments too, stays as it is.

    Raises InputError where the file holds `trees` in a form that cannot be replaced so.
    """
    import yaml

    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = [i for i, row in enumerate(rows) if row.startswith("trees:")]
    if len(at) != 1 or rows[at[0]].split("#")[0].strip() != "trees:":
        raise InputError(f"models/{path.name}", "its `trees:` is no block of rows", "Paste the parameters by hand.")
    after = next((i for i in range(at[0] + 1, len(rows)) if rows[i][0] not in " \t#\r\n"), len(rows))
    number, end = len(tuned.trials), tuned.ahead.end
    said = f"{_NOTE}, {number} trials on labels known by {end}; report later origins.\n"
    above = [row for row in rows[: at[0]] if not row.startswith(_NOTE)]
    text = "".join([*above, said, tuned.as_yaml(), *rows[after:]])
    told, before = yaml.safe_load(text), yaml.safe_load("".join(rows))
    if {**before, "trees": told["trees"]} != told:
        raise InputError(f"models/{path.name}", "cannot be changed in its `trees` alone", "Paste them by hand.")
    half = path.with_suffix(".part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)


@dataclass(frozen=True)
class _Stage:
    """One origin: what is learnt there, and the rows at risk of its run, each with what it stands for."""

    origin: AsOf
    shown: Shown
    x: Matrix
    label: npt.NDArray[np.int8]
    weight: Floats

    @classmethod
    def of(
        cls, definition: ModelDefinition, learning: LearningRows, catalogue: Catalogue, ahead: Ahead, i: int
    ) -> "_Stage":
        """The origin's; raises NotYetError where its run has too few falls."""
        sample, horizon = learning.sample, catalogue.county.ranking(definition.outcome)
        rows = sample.learnt(horizon, ahead.end)
        months = as_of_months(sample.rows)[rows]
        run = ahead.runs[i]
        rows = rows[sample.at_risk[rows] & (months >= run[0].month) & (months <= run[-1].month)]
        label = sample.label[horizon][rows]
        if label.sum() < LEAST_FALLS:
            problem = f"{int(label.sum())} falls followed {run[0]} to {run[-1]} (at least {LEAST_FALLS} are needed)"
            raise NotYetError("tuning", problem, "Ask for fewer origins, or a later end.")
        x = matrix(learning.histories, definition.features(catalogue), catalogue, rows=learning.at[rows])
        weight = np.where(label == 1, 1.0, 1 / sample.kept(ahead.end))
        shown = Shown.of(definition, learning, catalogue, origin=run[0])
        return cls(run[0], shown, x, label, weight)


class _Study:
    """Whole trials on disk, one file for all of a model's studies; what is tried next follows from them."""

    def __init__(self, path: Path, name: str, definition: ModelDefinition) -> None:
        self._own = definition.trees
        self._optuna = _optuna()
        self._space = _space(self._optuna)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _quiet():
            storage = self._optuna.storages.RDBStorage(f"sqlite:///{path.resolve().as_posix()}")
            self._kept = self._optuna.create_study(
                storage=storage, study_name=name, direction="maximize", load_if_exists=True
            )
        self.trials = [self._read(t) for t in self._kept.trials]

    def trees(self, parameters: dict[str, Any]) -> Trees:
        """The trees that parameters stand for: three digits each. Rounds are lengthened as steps are shortened."""
        short = {k: float(f"{v:.3g}") if isinstance(v, float) else v for k, v in parameters.items()}
        if not short:
            return self._own
        rounds = math.ceil(self._own.rounds * max(1.0, self._own.learning_rate / short["learning_rate"]))
        return self._own.model_copy(update={**short, "rounds": min(rounds, 20_000)})

    def next(self, seed: int) -> dict[str, Any]:
        """The parameters to try after those kept; the definition's own (none) at first."""
        if not self.trials:
            return {}
        sampler = self._optuna.samplers.TPESampler(seed=_seed(seed, len(self.trials)), n_startup_trials=BY_CHANCE)
        with _quiet():
            study = self._optuna.create_study(direction="maximize", sampler=sampler)
            study.add_trials([t for t in self._kept.trials if t.params])
            return study.ask(self._space).params

    def add(self, parameters: dict[str, Any], trial: Trial) -> None:
        """Keeps a whole trial, in one step."""
        kept = self._optuna.trial.create_trial(
            params=parameters,
            distributions={k: self._space[k] for k in parameters},
            value=trial.average_precision,
            user_attrs={"log_loss": trial.log_loss, "seconds": trial.seconds},
        )
        with _quiet():
            self._kept.add_trial(kept)
        self.trials.append(trial)

    def _read(self, kept: "optuna.trial.FrozenTrial") -> Trial:
        about = kept.user_attrs
        return Trial(self.trees(kept.params), float(kept.values[0]), about["log_loss"], about["seconds"])


def _space(optuna: Any) -> dict[str, Any]:
    """Between what parameters are tried; rounds follow from the rate, patience stays."""
    number, whole = optuna.distributions.FloatDistribution, optuna.distributions.IntDistribution
    return {
        "learning_rate": number(0.02, 0.2, log=True),
        "num_leaves": whole(4, 64, log=True),
        "min_data_in_leaf": whole(20, 500, log=True),
        "feature_fraction": number(0.1, 0.9),
        "bagging_fraction": number(0.5, 1.0),
        "lambda_l2": number(0.1, 100.0, log=True),
    }


def _tried(
    definition: ModelDefinition,
    trees: Trees,
    stages: Sequence[_Stage],
    catalogue: Catalogue,
    run: Run,
    tell: Callable[[float], None],
) -> Trial:
    """What trees come to: the mean over origins of average precision and log loss at the horizon that ranks."""
    asked, horizon = definition.model_copy(update={"trees": trees}), catalogue.county.ranking(definition.outcome)
    began, found = time.monotonic(), []
    for i, stage in enumerate(stages):
        tell(i / len(stages))
        model = learn(asked, stage.shown, catalogue, origin=stage.origin, run=run)
        p = model.probability(stage.x, horizon)
        ranked = average_precision_score(stage.label, p, sample_weight=stage.weight)
        found.append((ranked, log_loss(stage.label, p, sample_weight=stage.weight, labels=[0, 1])))
    ranked, lost = np.mean(found, axis=0)
    return Trial(trees, float(ranked), float(lost), time.monotonic() - began)


def _spent(budget: Budget, trials: Sequence[Trial], seconds: float, *, made: int) -> bool:
    if budget.trials is not None and len(trials) >= budget.trials:
        return True
    if budget.minutes is None or not made:
        return False
    return seconds + max(t.seconds for t in trials) > budget.minutes * 60


def _teller(progress: Progress, budget: Budget, trials: Sequence[Trial], began: float) -> Callable[[float], None]:
    """Tells how far the tuning is, given the share of the trial under way."""
    best = f", best {max(t.average_precision for t in trials):.4f}" if trials else ""
    number = len(trials)

    def tell(share: float) -> None:
        done = (number + share) / budget.trials if budget.trials else 0.0
        spent = (time.monotonic() - began) / 60 / budget.minutes if budget.minutes else 0.0
        progress(f"tuning: trial {number + 1}{best}", min(1.0, max(done, spent)))

    return tell


def _name(definition: ModelDefinition, ahead: Ahead, known: str) -> str:
    """The study's name: end and sixteen digits of all that decides what a trial comes to."""
    runs = [[str(a) for a in run] for run in ahead.runs]
    content = json.dumps([definition.model_dump(mode="json"), runs, str(ahead.end), known], sort_keys=True)
    return f"{ahead.end}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _seed(seed: int, number: int) -> int:
    """Another seed for each trial, whatever was tried in which run."""
    return int(hashlib.sha256(f"{seed} {number}".encode()).hexdigest()[:8], 16)


def _plain(value: float) -> str:
    return f"{value:.10g}"


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        remedy = "Install it: pip install 'fpml[tune]'."
        raise InputError("tuning", "optuna is not installed", remedy) from None
    return optuna


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's and its database's own notes are not for our readers."""
    loggers = [logging.getLogger(n) for n in ("optuna", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
