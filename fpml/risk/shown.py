"""What trees are shown at an origin: the matrix of all horizons, its labels, and which rows tell skill and level."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import matrix
from fpml.outcomes import UNKNOWN
from fpml.risk.definition import ModelDefinition
from fpml.risk.learning import LearningRows, households_hashed

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
# With `any_risk`: fewer households that fell do not calibrate an outcome by themselves.
LEAST_FALLEN = 20


@dataclass(frozen=True)
class Shown:
    """What trees are fitted on: the matrix (horizon last), one row for each household-month and horizon.

    `judged`: by which rows skill is judged (see `Sample`); `weight`: how many household-months such a row stands for,
    of the part that is learnt from; `household`: a number of its household; `fold`: which fold it is in, one row a
    repeat; `late`: see `Sample`; `seen`: see `Learnt`.
    """

    x: Matrix
    label: npt.NDArray[np.int8]
    horizon: npt.NDArray[np.int64]
    at_risk: npt.NDArray[np.bool_]
    judged: npt.NDArray[np.bool_]
    weight: Floats
    household: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]
    kept: float
    late: Mapping[int, npt.NDArray[np.int8]]
    seen: tuple[float, float] | None = None

    @property
    def effective(self) -> float:
        """Kish's effective number of falls that are judged."""
        weight = self.weight[self.judged & (self.label == 1)]
        return float(weight.sum() ** 2 / (weight**2).sum()) if weight.size else 0.0

    @classmethod
    def of(
        cls,
        definition: ModelDefinition,
        learning: LearningRows,
        catalogue: Catalogue,
        *,
        origin: AsOf,
        without: Collection[str] = (),
    ) -> "Shown":
        """The rows that could have been shown at an origin, of all horizons that are learnt, one after the other."""
        sample, names = learning.sample, definition.features(catalogue)
        spared = np.asarray(pc.is_in(sample.rows["household_id"], value_set=pa.array(sorted(without), pa.string())))
        chosen = {h: r[~spared[r]] for h, r in ((h, sample.dealt(h, origin)) for h in definition.learn_horizons)}
        rows = np.concatenate(list(chosen.values()))
        horizon = np.repeat(list(chosen), [r.size for r in chosen.values()])
        label = np.concatenate([sample.label[h][r] for h, r in chosen.items()])
        x = np.empty((rows.size, len(names) + 1), np.float32)
        matrix(learning.histories, names, catalogue, rows=learning.at[rows], out=x[:, :-1])
        x[:, -1] = horizon
        salts = [b"", *(str(r).encode() for r in range(1, definition.repeats))]
        number = np.stack([households_hashed(sample.rows, octets=4, salt=s).astype(np.int64)[rows] for s in salts])
        kept = sample.share_dealt(origin)
        weight = np.where(label == 1, 1.0, 1 / kept)
        seen = learning.seen(origin) if definition.audited else None
        for h in definition.learn_horizons:
            falls = np.flatnonzero((label == 1) & (horizon == h))
            weight[falls] = 1 / seen.chance(sample.rows.take(pa.array(rows[falls])), h) if seen else 1.0
        told = (seen.listed, seen.unlisted) if seen else None
        at_risk, judged = sample.at_risk[rows], sample.judged[rows]
        fold = number % definition.folds
        # Of the shortest horizon that covers the delay all who fell in its last months are there.
        after = min((h for h in definition.learn_horizons if h >= definition.delay), default=0)
        late = {h: np.where(horizon == after, of[rows], UNKNOWN) for h, of in sample.late.items()}
        return cls(x, label, horizon, at_risk, judged, weight, number[0], fold, kept, late, told)

    def judged_at(self, horizon: int) -> npt.NDArray[np.int64]:
        """The rows of a horizon by which skill is judged."""
        return np.flatnonzero(self.judged & (self.horizon == horizon))

    def level(self, horizon: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8], Floats]:
        """The rows that calibrate a horizon, their labels and weights: of those at risk, where enough of them fell.

        Of a horizon that is shorter than the register's delay, the label is that of the delay's last months.
        """
        label, told = self.label, self.judged & (self.horizon == horizon)
        late = self.late.get(horizon)
        if late is not None and (self.judged & (late == 1)).any():
            label, told = late, self.judged & (late >= 0)
        fallen = told & self.at_risk & (label == 1)
        enough = np.unique(self.household[fallen]).size >= LEAST_FALLEN
        rows = np.flatnonzero(told & self.at_risk if enough else told)
        # Who fell after those months stands for itself alone, as one that did not fall in them.
        after = (label[rows] == 0) & (self.label[rows] == 1)
        return rows, label[rows], np.where(after, 1.0, self.weight[rows])

    def fallen(self, rows: npt.NDArray[np.bool_]) -> int:
        """How many households fell among some rows."""
        return int(np.unique(self.household[rows & (self.label == 1)]).size)
