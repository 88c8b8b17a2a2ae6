"""Fit and score: one set of boosted trees for all horizons of an outcome, early-stopped and calibrated out of fold."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError
from fpml.features import as_of_months, matrix
from fpml.outcomes import household_codes, labels, matured, risk_set
from fpml.risk.calibrate import Calibration, fit_calibration
from fpml.risk.definition import ModelDefinition

try:
    import lightgbm as lgb
except OSError as e:  # the wheel does not carry the OpenMP runtime
    raise InputError("lightgbm", f"cannot start ({e})", "Install the OpenMP runtime (Debian: libgomp1).") from None

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
HORIZON = "horizon"
LEAST_POSITIVE = 50
SMALL = 5_000_000


@dataclass(frozen=True)
class Learnt:
    """What a model was fitted on: counts only. `rows` and `positive_labels` count each household-month and horizon; the
    positive labels are those of households at risk, so one fall may stand behind several."""

    origin: str
    rows: int
    positive_labels: int
    households: int
    rounds: tuple[int, ...]


@dataclass(frozen=True)
class RiskModel:
    """A fitted model: the mean of its boosters' log-odds, calibrated for each horizon (months) that it saw falls at."""

    outcome: str
    features: tuple[str, ...]
    boosters: tuple[str, ...] = field(repr=False)
    calibrations: Mapping[int, Calibration]
    learnt: Learnt
    meaning: str

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits of everything that decides a score."""
        content = json.dumps([self.outcome, self.features, self.boosters, _as_json(self.calibrations)])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def raw(self, x: Matrix, horizon: int) -> Floats:
        """The raw log-odds of a fall at a horizon for each row of the matrix."""
        stacked = _with_horizon(x, horizon)
        each = [np.asarray(b.predict(stacked, raw_score=True), np.float64) for b in self._loaded()]
        return np.asarray(np.sum(each, axis=0) / len(each))

    def contributions(self, x: Matrix, horizon: int) -> tuple[Floats, Floats]:
        """Exact TreeSHAP: each feature's contribution (rows, features) and the base (rows); they sum to `raw`.

        The horizon is the same for every row, so its contribution belongs to the base.
        """
        stacked = _with_horizon(x, horizon)
        each = [np.asarray(b.predict(stacked, pred_contrib=True), np.float64) for b in self._loaded()]
        mean = np.sum(each, axis=0) / len(each)
        return mean[:, : len(self.features)], mean[:, len(self.features) :].sum(axis=1)

    def probability(self, x: Matrix, horizon: int) -> Floats:
        """The calibrated probability of a fall at a horizon for each row of the matrix."""
        return self.calibrations[horizon](self.raw(x, horizon))

    def _loaded(self) -> list[lgb.Booster]:
        return [lgb.Booster(model_str=text) for text in self.boosters]

    def save(self, folder: Path) -> None:
        """Writes the model as text and JSON into a folder that appears whole or not at all."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
        for i, text in enumerate(self.boosters):
            (half / f"booster-{i}.txt").write_text(text, encoding="utf-8")
        card = {
            "outcome": self.outcome,
            "features": self.features,
            "boosters": len(self.boosters),
            "calibrations": _as_json(self.calibrations),
            "learnt": vars(self.learnt),
            "meaning": self.meaning,
            "fingerprint": self.fingerprint,
        }
        (half / "model.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
        if folder.exists():  # the same fingerprint is the same model
            shutil.rmtree(half)
            os.utime(folder / "model.json")  # it was trained last
        else:
            os.replace(half, folder)

    @classmethod
    def load(cls, folder: Path) -> "RiskModel":
        """The model in a folder; raises InputError where a file is missing or has been changed."""
        try:
            card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            texts = tuple(
                (folder / f"booster-{i}.txt").read_text(encoding="utf-8") for i in range(int(card["boosters"]))
            )
            learnt = Learnt(**{**card["learnt"], "rounds": tuple(card["learnt"]["rounds"])})
            calibrations = {int(h): Calibration(**c) for h, c in card["calibrations"].items()}
            model = cls(card["outcome"], tuple(card["features"]), texts, calibrations, learnt, card["meaning"])
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise InputError(f"model {folder.name}", f"damaged ({type(e).__name__})", "Train it again.") from None
        if model.fingerprint != card["fingerprint"]:
            raise InputError(f"model {folder.name}", "changed since it was saved", "Train it again.")
        return model


def fit(
    definition: ModelDefinition,
    histories: pa.Table,
    catalogue: Catalogue,
    *,
    origin: AsOf,
    without: Collection[str] = (),
) -> RiskModel:
    """The model that could have been fitted at the origin: only labels that had matured by then, per row.

    `without`: households that must not be learnt from. Raises NotYetError with too few known falls.
    """
    names = definition.features(catalogue)
    x, y, horizon, at_risk, group = _training_rows(definition, histories, catalogue, names, origin, without)
    first = catalogue.county.outcomes[definition.outcome].horizons[0]
    positive = int(y[at_risk].sum())
    if positive < LEAST_POSITIVE or not y[at_risk & (horizon == first)].any():
        raise NotYetError(
            f"model {definition.outcome}",
            f"{positive} labels that are known falls by {origin} (at least {LEAST_POSITIVE} are needed)",
            "Take in more months, or train at a later as-of.",
        )
    fold = group % definition.folds
    boosters, out_of_fold = [], np.empty(y.size)
    for k in range(definition.folds):
        booster = _boost(definition, x, y, fold != k, at_risk, k)
        boosters.append(booster)
        out_of_fold[fold == k] = booster.predict(x[fold == k], raw_score=True)
    calibrations = {
        h: fit_calibration(out_of_fold[at_risk & (horizon == h)], y[at_risk & (horizon == h)])
        for h in catalogue.county.outcomes[definition.outcome].horizons
        if y[at_risk & (horizon == h)].any()
    }
    rounds = tuple(b.current_iteration() for b in boosters)
    return RiskModel(
        outcome=definition.outcome,
        features=names,
        boosters=tuple(b.model_to_string() for b in boosters),
        calibrations=calibrations,
        learnt=Learnt(str(origin), int(y.size), positive, int(np.unique(group).size), rounds),
        meaning=catalogue.meaning,
    )


def _training_rows(
    definition: ModelDefinition,
    histories: pa.Table,
    catalogue: Catalogue,
    names: tuple[str, ...],
    origin: AsOf,
    without: Collection[str],
) -> tuple[Matrix, npt.NDArray[np.int8], npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Matrix with the horizon as last column, labels, horizons, who was at risk, and a number for each household."""
    outcome = catalogue.county.outcomes[definition.outcome]
    months = as_of_months(histories)
    risks = risk_set(outcome, histories, catalogue)
    eligible = risks.at_risk if definition.learn_rows == "at_risk" else risks.state_known
    if without:
        excluded = pa.array(sorted(without), pa.string())
        eligible = eligible & ~np.asarray(pa.compute.is_in(histories["household_id"], value_set=excluded), bool)
    number = _stable_numbers(histories)
    parts = []
    for h in definition.learn_horizons:
        label = labels(outcome, histories, catalogue, h)
        rows = np.flatnonzero(eligible & (label >= 0) & matured(months, h, outcome, origin.month))
        parts.append((rows, label[rows], np.full(rows.size, h), risks.at_risk[rows], number[rows]))
    rows, y, horizon, at_risk, group = (np.concatenate(p) for p in zip(*parts, strict=True))
    x = np.empty((rows.size, len(names) + 1), np.float32)
    x[:, :-1] = matrix(histories, names, catalogue, rows=rows)
    x[:, -1] = horizon
    return x, y, horizon, at_risk, group


def _boost(
    definition: ModelDefinition,
    x: Matrix,
    y: npt.NDArray[np.int8],
    learn: npt.NDArray[np.bool_],
    at_risk: npt.NDArray[np.bool_],
    k: int,
) -> lgb.Booster:
    """Trees fitted on the other folds' households, stopped where the held-out households at risk are told best."""
    trees = definition.trees
    parameters = {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": trees.learning_rate,
        "num_leaves": trees.num_leaves,
        "min_data_in_leaf": trees.min_data_in_leaf,
        "feature_fraction": trees.feature_fraction,
        "bagging_fraction": trees.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": trees.lambda_l2,
        "seed": definition.seed + k,
        "num_threads": threads_for(x),
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    train = lgb.Dataset(x[learn], y[learn], free_raw_data=True)
    held = ~learn & at_risk
    valid = lgb.Dataset(x[held], y[held], reference=train)
    booster = lgb.train(
        parameters,
        train,
        trees.rounds,
        valid_sets=[valid],
        callbacks=[lgb.early_stopping(trees.patience, verbose=False)],
    )
    # Keep the trees up to the best round only.
    return lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def threads_for(x: Matrix) -> int:
    """One thread for a small matrix, all (0) for a large one; scores are the same either way.

    LightGBM's threads wait for each other at every split: where another process holds a core, a small fit on two
    threads was measured to take three times as long as on one.
    """
    return 1 if x.size < SMALL else 0


def _with_horizon(x: Matrix, horizon: int) -> Matrix:
    return np.column_stack([x, np.full(x.shape[0], horizon, np.float32)])


def _stable_numbers(histories: pa.Table) -> npt.NDArray[np.int64]:
    """A number for each row's household that is the same in every run: folds never depend on order."""
    codes = household_codes(histories)
    ids = histories["household_id"].combine_chunks().unique().to_pylist()
    numbers = [int.from_bytes(hashlib.blake2b(i.encode(), digest_size=4).digest()) for i in ids]
    return np.array(numbers, np.int64)[codes]


def _as_json(calibrations: Mapping[int, Calibration]) -> dict[str, dict[str, float]]:
    return {str(h): vars(c) for h, c in sorted(calibrations.items())}
