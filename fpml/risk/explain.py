"""Contributions to the raw log-odds, grouped by indicator: associated with the estimate, never because."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fpml.catalogue import Catalogue
from fpml.risk.model import Floats, RiskModel
from fpml.risk.shown import Matrix


@dataclass(frozen=True)
class Contributions:
    """Each row's log-odds taken apart: base + sum of `grouped` over groups = raw, to 1e-6.

    `leading` is, for each row and group, the position (in the model's features) of the feature that contributes most in
    the direction of the whole group: the one whose observed value is told. `single` holds each feature's own part,
    `members` the positions of each group's features.
    """

    groups: tuple[str, ...]
    grouped: Floats
    base: Floats
    leading: npt.NDArray[np.int64]
    single: Floats
    members: tuple[tuple[int, ...], ...]

    @classmethod
    def joined(cls, parts: Sequence["Contributions"]) -> "Contributions":
        """Those of rows that were taken apart in pieces, by one model."""
        of_rows = {n: np.concatenate([getattr(p, n) for p in parts]) for n in ("grouped", "base", "leading", "single")}
        return cls(**{**vars(parts[0]), **of_rows})

    def toward(self, row: int, group: int) -> list[tuple[int, float]]:
        """Each feature of a group (its position in the model's) and how much it adds in the group's own direction."""
        sign = 1 if self.grouped[row, group] >= 0 else -1
        return [(f, sign * float(self.single[row, f])) for f in self.members[group]]


def contributions(model: RiskModel, x: Matrix, horizon: int, catalogue: Catalogue) -> Contributions:
    """Every row's contributions at a horizon, correlated features of one indicator told as one."""
    single, base = model.contributions(x, horizon)
    of_feature = [catalogue.group(n) for n in model.features]
    groups = tuple(dict.fromkeys(of_feature))
    grouped = np.zeros((x.shape[0], len(groups)))
    leading = np.zeros((x.shape[0], len(groups)), np.int64)
    of_group = tuple(tuple(i for i, of in enumerate(of_feature) if of == name) for name in groups)
    for g, mine in enumerate(of_group):
        members = np.array(mine)
        grouped[:, g] = single[:, members].sum(axis=1)
        toward = single[:, members] * np.where(grouped[:, g : g + 1] >= 0, 1, -1)
        leading[:, g] = members[toward.argmax(axis=1)]
    return Contributions(groups, grouped, base, leading, single, of_group)
