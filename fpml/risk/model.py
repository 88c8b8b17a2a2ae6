"""Fit and score: one set of boosted trees for all horizons of an outcome, early-stopped and calibrated out of fold."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError
from fpml.features import Run, one_by_one
from fpml.risk.calibrate import Calibration, fit_calibration
from fpml.risk.definition import ModelDefinition
from fpml.risk.grove import Grove
from fpml.risk.learning import LearningRows
from fpml.risk.linear import Linear
from fpml.risk.shapley import shapley
from fpml.risk.shown import Matrix, Shown
from fpml.risk.trees import Trees

Floats = npt.NDArray[np.float64]
LEAST_POSITIVE = 50


@dataclass(frozen=True)
class Learnt:
    """What a model was fitted on: counts only. `rows` and `positive_labels` count each household-month and horizon (of
    the negatives those that were kept); the positive labels are those by which skill is judged, of households at risk
    (with `any_risk`: of any outcome), so one fall may stand behind several. `seen`: where falls are weighted, the
    entries in the register for each fall where a list had the household, and where none had; `effective`: the effective
    number of positive labels (Kish). `own_falls`: with `any_risk`, how many households at risk of the outcome itself
    fell."""

    origin: str
    rows: int
    positive_labels: int
    households: int
    rounds: int
    seen: tuple[float, float] | None = None
    effective: float | None = None
    own_falls: int | None = None


@dataclass(frozen=True)
class RiskModel:
    """A fitted model: the mean of its boosters' log-odds and an offset, calibrated for each horizon that had falls.

    `kept`: which share of the household-months without a fall it was shown. `linear`: regressions beside the trees, by
    horizon; their mean makes up `share` of the log-odds.
    """

    outcome: str
    features: tuple[str, ...]
    boosters: tuple[str, ...] = field(repr=False)
    calibrations: Mapping[int, Calibration]
    learnt: Learnt
    meaning: str
    kept: float = 1.0
    linear: Mapping[int, Sequence[Linear]] = field(default_factory=dict, repr=False)
    share: float = 0.0

    @property
    def offset(self) -> float:
        """What is added to the boosters' log-odds: the log of the share of negatives that they were shown."""
        return math.log(self.kept)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits of everything that decides a score."""
        beside = [self._beside(), self.share] if self.linear else []
        about = [self.outcome, self.features, self.boosters, _as_json(self.calibrations), self.kept, *beside]
        content = json.dumps(about)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @cached_property
    def trees(self) -> Trees:
        """The boosters' trees, ready to be walked."""
        return Trees.of(self.boosters, len(self.features))

    @property
    def horizons(self) -> tuple[int, ...]:
        """The horizons that it says probabilities of, in months, ascending."""
        return tuple(sorted(self.calibrations))

    def raw(self, x: Matrix, horizon: int) -> Floats:
        """The raw log-odds of a fall at a horizon for each row of the matrix."""
        return self._raw(x, [horizon])[:, 0]

    def _raw(self, x: Matrix, horizons: Sequence[int]) -> Floats:
        """The raw log-odds: (rows, horizons)."""
        told = self.trees.raw(x, horizons)
        if self.linear:
            beside = np.column_stack([np.mean([n.raw(x) for n in self.linear[h]], axis=0) for h in horizons])
            told = (1 - self.share) * told + self.share * beside
        return np.asarray(told + self.offset)

    def contributions(self, x: Matrix, horizon: int) -> tuple[Floats, Floats]:
        """Exact Shapley values of the trees' paths: each feature's contribution (rows, features) and the base (rows).

        They sum to `raw`. The horizon is the same for every row, so its contribution belongs to the base, and so does
        the offset. What a regression beside adds is each term's weight times its distance from the mean.
        """
        added, base = shapley(self.trees, x, horizon)
        if self.linear:
            beside = np.mean([n.contributions(x) for n in self.linear[horizon]], axis=0)
            start = float(np.mean([n.intercept for n in self.linear[horizon]]))
            added = (1 - self.share) * added + self.share * beside
            base = (1 - self.share) * base + self.share * start
        return added, base + self.offset

    def probability(self, x: Matrix, horizon: int) -> Floats:
        """The calibrated probability of a fall at a horizon for each row of the matrix."""
        return self.calibrations[horizon](self.raw(x, horizon))

    def probabilities(self, x: Matrix) -> Floats:
        """The calibrated probabilities at every horizon: (rows, horizons). They may decrease here and there."""
        raw = self._raw(x, self.horizons)
        return np.column_stack([self.calibrations[h](raw[:, j]) for j, h in enumerate(self.horizons)])

    def _beside(self) -> dict[str, list[dict[str, object]]]:
        return {str(h): [n.as_json() for n in of] for h, of in sorted(self.linear.items())}

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
            "kept": self.kept,
            "linear": self._beside(),
            "share": self.share,
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
            learnt = Learnt(**card["learnt"])
            listed_and_not = learnt.seen and (float(learnt.seen[0]), float(learnt.seen[1]))
            learnt = replace(learnt, seen=listed_and_not)
            calibrations = {int(h): Calibration(**c) for h, c in card["calibrations"].items()}
            beside = {int(h): tuple(map(Linear.from_json, of)) for h, of in card.get("linear", {}).items()}
            about = card["meaning"], float(card["kept"]), beside, float(card.get("share", 0))
            model = cls(card["outcome"], tuple(card["features"]), texts, calibrations, learnt, *about)
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise InputError(f"model {folder.name}", f"damaged ({type(e).__name__})", "Train it again.") from None
        if model.fingerprint != card["fingerprint"]:
            raise InputError(f"model {folder.name}", "changed since it was saved", "Train it again.")
        return model


def fit(
    definition: ModelDefinition,
    learning: LearningRows,
    catalogue: Catalogue,
    *,
    origin: AsOf,
    without: Collection[str] = (),
    run: Run = one_by_one,
) -> RiskModel:
    """The model that could have been fitted at the origin: only labels that had matured by then, per row.

    `without`: households that must not be learnt from; `run` applies a function to parts, here to the folds, on threads
    or one by one. Raises NotYetError with too few known falls.
    """
    shown = Shown.of(definition, learning, catalogue, origin=origin, without=without)
    horizons = catalogue.county.outcomes[definition.outcome].horizons
    weights = hashlib.blake2b(shown.weight.tobytes(), digest_size=16).hexdigest()  # an audit may have told since
    key = ("grove", learning.sample.digest, definition.way, horizons, origin, weights, *sorted(without))
    return learn(definition, shown, catalogue, origin=origin, run=run, once=partial(learning.once, key))


def learn(
    definition: ModelDefinition,
    shown: Shown,
    catalogue: Catalogue,
    *,
    origin: AsOf,
    run: Run = one_by_one,
    once: Callable[[Callable[[], Grove]], Grove] = lambda grow: grow(),
) -> RiskModel:
    """The model of the rows that are shown: see `fit`. Other trees can so be tried on the same rows.

    `once` may give a grove that was grown of the same rows in the same way.
    """
    horizons = catalogue.county.outcomes[definition.outcome].horizons
    events = {h: int(shown.label[shown.judged_at(h)].sum()) for h in definition.learn_horizons}
    if sum(events.values()) < LEAST_POSITIVE or not events[catalogue.county.ranking(definition.outcome)]:
        raise NotYetError(
            f"model {definition.outcome}",
            f"{sum(events.values())} labels that are known falls by {origin} (at least {LEAST_POSITIVE} are needed)",
            "Take in more months, or train at a later as-of.",
        )
    scored = tuple(h for h in horizons if events[h])
    grove = once(partial(Grove.of, definition, shown, catalogue, horizons=scored, run=run))
    calibrations = {
        h: fit_calibration(grove.out_of_fold(shown, rows, h), label, weight)
        for h, (rows, label, weight) in ((h, shown.level(h)) for h in scored)
    }
    return RiskModel(
        outcome=definition.outcome,
        features=definition.features(catalogue),
        boosters=tuple(b.model_to_string() for b in grove.boosters),
        calibrations=calibrations,
        learnt=Learnt(
            str(origin),
            int(shown.label.size),
            sum(events.values()),
            int(np.unique(shown.household).size),
            grove.rounds,
            shown.seen,
            round(shown.effective, 1) if shown.seen else None,
            shown.fallen(shown.at_risk) if definition.learn_rows == "any_risk" else None,
        ),
        meaning=catalogue.meaning,
        kept=shown.kept,
        linear={h: tuple(of[h] for of in grove.linear) for h in scored} if grove.linear else {},
        share=grove.share,
    )


def _as_json(calibrations: Mapping[int, Calibration]) -> dict[str, dict[str, float]]:
    return {str(h): vars(c) for h, c in sorted(calibrations.items())}
