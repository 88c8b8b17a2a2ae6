"""Trees of what is shown, grown fold by fold, early-stopped; and what they say of whom they were not shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from fpml.catalogue import Catalogue
from fpml.errors import InputError
from fpml.features import Run, one_by_one
from fpml.risk.definition import ModelDefinition
from fpml.risk.linear import Linear
from fpml.risk.shown import Shown

try:
    import lightgbm as lgb
except OSError as e:  # the wheel does not carry the OpenMP runtime
    raise InputError("lightgbm", f"cannot start ({e})", "Install the OpenMP runtime (Debian: libgomp1).") from None

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grove:
    """The boosters, one for each fold of each repeat, all of so many rounds; the regressions beside them, by horizon.

    `share`: what the regressions make up of the log-odds.
    """

    boosters: tuple[lgb.Booster, ...]
    rounds: int
    linear: tuple[dict[int, Linear], ...]
    share: float

    @classmethod
    def of(
        cls,
        definition: ModelDefinition,
        shown: Shown,
        catalogue: Catalogue,
        *,
        horizons: Sequence[int],
        run: Run = one_by_one,
    ) -> "Grove":
        """Grown of the rows that are shown; `horizons`: those that get a regression."""
        deals = [(r, k) for r in range(definition.repeats) for k in range(definition.folds)]
        grown = run(partial(_grow, definition, shown), deals)
        best = _best([g.losses for g in grown])
        if definition.linear is None:
            return cls(tuple(g.cut(best) for g in grown), best, (), 0.0)
        linear = run(partial(_regressed, shown, horizons, _bent(definition, catalogue)), deals)
        return cls(tuple(g.cut(best) for g in grown), best, tuple(linear), definition.linear.share)

    def out_of_fold(self, shown: Shown, rows: Ints, horizon: int) -> Floats:
        """The log-odds at a horizon of some rows, with the offset, by those that were not shown their households."""
        repeats = shown.fold.shape[0]
        folds = len(self.boosters) // repeats
        told = np.full(rows.size, math.log(shown.kept))
        for i, booster in enumerate(self.boosters):
            held = shown.fold[i // folds][rows] == i % folds
            if not held.any():
                continue
            x = shown.x[rows[held]]
            x[:, -1] = horizon
            trees = np.asarray(booster.predict(x, raw_score=True))
            beside = self.linear[i][horizon].raw(x[:, :-1]) if self.linear else 0.0
            told[held] += ((1 - self.share) * trees + self.share * beside) / repeats
        return told


@dataclass(frozen=True)
class Grown:
    """One fold's trees, and how well those judged that it was not shown are told after each round.

    `losses`: the log loss summed over these rows, each for all that it stands for.
    """

    booster: lgb.Booster
    losses: Floats

    def cut(self, rounds: int) -> lgb.Booster:
        """Its first trees alone."""
        return lgb.Booster(model_str=self.booster.model_to_string(num_iteration=rounds))


def _bent(definition: ModelDefinition, catalogue: Catalogue) -> tuple[int, ...]:
    """The columns that the regression beside the trees may bend."""
    names = definition.features(catalogue)
    return tuple(names.index(n) for n in definition.linear.bent) if definition.linear else ()


def _regressed(shown: Shown, horizons: Sequence[int], bent: Sequence[int], deal: tuple[int, int]) -> dict[int, Linear]:
    """The regressions of the households outside a fold, one a horizon that is scored."""
    r, k = deal
    learn = {h: np.flatnonzero((shown.fold[r] != k) & (shown.horizon == h)) for h in horizons}
    return {h: Linear.fit(shown.x[rows, :-1], shown.label[rows], bent) for h, rows in learn.items()}


def _best(losses: Sequence[Floats]) -> int:
    """After how many rounds all folds together are told best: one fold has too few falls to say."""
    rounds = min(of.size for of in losses)
    return int(np.argmin(np.sum([of[:rounds] for of in losses], axis=0))) + 1


def _grow(definition: ModelDefinition, shown: Shown, deal: tuple[int, int]) -> Grown:
    """Trees fitted on the other folds' households, until those of the fold are told no better for some rounds.

    `deal`: which repeat, and which fold of it.
    """
    trees, (r, k) = definition.trees, deal
    fold = shown.fold[r]
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
        "seed": definition.seed + r * definition.folds + k,
        # Folds are fitted side by side instead: threads within one wait for each other at every split.
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    learn, held = fold != k, (fold == k) & shown.judged
    # Negatives are learnt from as they are: what they stand for is in the offset.
    falls = np.where(shown.label == 1, shown.weight, 1.0)[learn] if shown.seen else None
    train = lgb.Dataset(shown.x[learn], shown.label[learn], weight=falls, free_raw_data=True)
    # Judged as all that is learnt from would be: with the offset, each negative for all that it stands for.
    valid = lgb.Dataset(
        shown.x[held],
        shown.label[held],
        reference=train,
        weight=shown.weight[held],
        init_score=np.full(int(held.sum()), math.log(shown.kept)),
    )
    told: dict[str, dict[str, list[float]]] = {}
    booster = lgb.train(
        parameters,
        train,
        trees.rounds,
        valid_sets=[valid],
        callbacks=[lgb.record_evaluation(told), lgb.early_stopping(trees.patience, verbose=False)],
    )
    losses = np.array(told["valid_0"]["binary_logloss"]) * shown.weight[held].sum()
    return Grown(booster, losses)
