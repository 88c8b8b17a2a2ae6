"""A small generated panel in the default policy's terms, until the county simulator stands. No real household.

It has mechanisms enough to be worth ranking (illness and lost work lower income for a while; savings run down first),
and no claim to reproduce any figure of a real county.
"""

import calendar
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

FIRST = 2021 * 12  # January 2021


def generate(folder: Path, *, households: int = 1500, months: int = 30, seed: int = 7) -> list[Path]:
    """Writes one CSV delivery a month, and returns their paths. Amounts in yuan; known a month after the event."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    home = _Homes(rng, households)
    paths = []
    for t in range(months):
        rows = pd.concat(home.month(t), ignore_index=True)
        path = folder / f"{_day(t)[:7]}.csv"
        half = path.with_suffix(".part")
        rows.to_csv(half, index=False)
        half.replace(path)
        paths.append(path)
    return paths


def _day(t: int, *, end: bool = False) -> str:
    year, month = divmod(FIRST + t, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return str(date(year, month + 1, last if end else 15))


class _Homes:
    """The state of all households, a month at a time."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self.rng, self.n = rng, n
        self.id = np.array([f"D{i:06d}" for i in range(n)])
        villages = max(4, n // 50)
        self.village = (
            360121000000 + 1000 * (1 + rng.integers(0, villages, n) // 10) + 1 + rng.integers(0, villages, n) % 10
        )
        self.members = 1 + rng.binomial(5, 0.48, n)
        self.labourers = np.minimum(self.members, 1 + rng.binomial(2, 0.5, n)) * (rng.random(n) > 0.03)
        self.formerly_poor = rng.random(n) < 0.3
        level = rng.normal(0, 0.45, n) - 0.35 * self.formerly_poor
        self.wage = np.where(self.labourers > 0, 2300 * self.labourers * np.exp(level), 0.0)
        self.farm = 5200 * np.exp(rng.normal(0, 0.5, n) + 0.3 * level)
        self.savings = 9000 * np.exp(rng.normal(0, 0.8, n) + level)
        self.ill = np.zeros(n, np.int64)
        self.jobless = np.zeros(n, np.int64)

    def month(self, t: int) -> Iterator[pd.DataFrame]:
        rng, n = self.rng, self.n
        if t == 0:
            yield from (
                self._rows(name, value, t, self_known=True)
                for name, value in (
                    ("village", self.village),
                    ("members", self.members),
                    ("labourers", self.labourers),
                    ("formerly_poor", self.formerly_poor.astype(int)),
                )
            )
        frail = 0.004 + 0.006 * (self.labourers <= 1)
        begins_ill = (self.ill == 0) & (rng.random(n) < frail)
        self.ill = np.where(begins_ill, rng.integers(4, 14, n), np.maximum(self.ill - 1, 0))
        loses = (self.jobless == 0) & (self.labourers > 0) & (rng.random(n) < 0.006 + 0.01 * (self.ill > 0))
        self.jobless = np.where(loses, rng.integers(2, 10, n), np.maximum(self.jobless - 1, 0))
        working = (self.jobless == 0) * np.where(self.ill > 0, 0.6, 1.0)
        wage = self.wage * working * np.exp(rng.normal(0, 0.15, n)) * (0.6 if (t % 12) in (0, 1) else 1.0)
        # Two harvests, and a little from the yard in every other month.
        farm = self.farm * rng.gamma(4, 0.25, n) * (0.95 if t % 12 in (5, 9) else 0.01)
        medical = np.where(
            self.ill > 0, rng.gamma(1.2, 1500, n), np.where(rng.random(n) < 0.15, rng.gamma(1, 250, n), 0)
        )
        fees = np.where((t % 12 == 8) & (rng.random(n) < 0.05), rng.gamma(3, 2000, n), 0.0)
        self.savings = np.maximum(0, self.savings + 0.35 * wage + 0.3 * farm - medical - fees - 120 * self.members)
        self.wage *= np.exp(rng.normal(-0.001, 0.02, n))
        for name, value in (
            ("income_wage", wage),
            ("income_farm", farm),
            ("medical_self_paid", medical),
            ("school_fees", fees),
        ):
            yield self._rows(name, np.round(value, 2), t, where=value > 0.01)
        yield self._rows("transfers", np.round(130.0 * self.formerly_poor + 60, 2), t)
        yield self._rows("savings", np.round(self.savings, 2), t)
        yield self._rows("out_of_work", np.ones(n, int), t, where=self.jobless > 0)
        yield self._rows("disability_grade_1_2", np.ones(n, int), t, where=rng.random(n) < 0.0006)
        yield self._rows("house_unsafe", np.ones(n, int), t, where=rng.random(n) < 0.0005)

    def _rows(
        self, indicator: str, value: np.ndarray, t: int, *, where: np.ndarray | None = None, self_known: bool = False
    ) -> pd.DataFrame:
        chosen = np.ones(self.n, bool) if where is None else where
        return pd.DataFrame(
            {
                "household_id": self.id[chosen],
                "indicator": indicator,
                "event_date": _day(t),
                "known_date": _day(t, end=True),
                "value": value[chosen],
            }
        ).astype({"value": object})
