"""The oracles' probabilities for a plan's households, written into its truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import UsageError
from fpml.simulate.county import Hands, Places, line_on, wanted_processes
from fpml.simulate.draws import Bools, Draws, Floats, Ints
from fpml.simulate.grow import Growing
from fpml.simulate.oracle import first_falls
from fpml.simulate.plan import Plan, Spot
from fpml.simulate.state import Township

AHEAD = 12
HORIZONS = (1, 3, 6, 12)


@dataclass(frozen=True)
class Foresight:
    """At which as-ofs to look ahead, how often the future is rolled out, and the share of those who do not fall."""

    as_ofs: tuple[AsOf, ...]
    times: int = 200
    share: float = 0.02

    def __post_init__(self) -> None:
        if self.times < 1 or not 0 < self.share <= 1 or not self.as_ofs:
            raise UsageError("oracles", "nothing to roll out", "Give as-ofs, at least 1 roll-out and a share up to 1.")


def foresee(
    plan: Plan, places: Places, catalogue: Catalogue, foresight: Foresight, *,
    progress: Callable[[str, float], None] = lambda _what, _share: None, processes: int | None = None,
) -> pa.Table:  # fmt: skip
    """One row per household looked at and as-of; also written as `oracles.parquet` into the truth.

    Looked at are all who fall within twelve months and a sample of the other households at risk (`weight`: how many
    each stands for). `falls_in`: months to the first fall, 0 for none. `full_6`, `observable_6` ...: each oracle's
    probability of a fall within so many months. After the plan's months the line goes on as the policy has it.
    """
    last = max(foresight.as_ofs)
    if not plan.first <= min(foresight.as_ofs):
        raise UsageError(
            f"oracles at {min(foresight.as_ofs)}", f"the county begins in {plan.first}", "Choose later ones."
        )
    months = last.month + AHEAD - plan.first.month + 1
    lines = tuple(line_on(plan, catalogue, plan.first.shift(m)) for m in range(months))
    work = partial(_foresee, plan, catalogue, foresight, lines)
    with Hands(processes or wanted_processes(plan), len(plan.townships())) as hands:
        found = pa.concat_tables(hands.all(work, plan.townships(), partial(progress, "rolling out")))
    places.truth.mkdir(parents=True, exist_ok=True)
    half = places.truth / "oracles.part"
    pq.write_table(found, half)
    half.replace(half.with_suffix(".parquet"))
    return found


def _foresee(plan: Plan, catalogue: Catalogue, foresight: Foresight, lines: tuple[int, ...], spot: Spot) -> pa.Table:
    """One township's share: it lives on to the last as-of and the months after, and is looked back at from there."""
    growing = Growing.begin(plan, spot, catalogue, line=lines[0])
    wanted, now, fallen = {a.month for a in foresight.as_ofs}, list[Township](), list[tuple[int, Bools]]()
    for line in lines:
        place = growing.place
        before = place.homes.monitored > 0
        growing.live(line=line)
        free = np.ones(len(place.homes), bool)
        free[: before.size] = ~before
        fallen.append((place.month, in_trouble(place) & free))
        if place.month in wanted:
            now.append(place.copy())
    codes = growing.codes()
    return pa.concat_tables([_at(plan, spot, foresight, lines, then, codes, fallen) for then in now])


def _at(
    plan: Plan, spot: Spot, foresight: Foresight, lines: tuple[int, ...], then: Township, codes: pa.Array,
    fallen: Sequence[tuple[int, Bools]],
) -> pa.Table:  # fmt: skip
    """The rows of one as-of."""
    falls_in = np.zeros(len(then.homes), np.int64)
    for month, fell in fallen:
        if then.month < month <= then.month + AHEAD:
            first = fell[: falls_in.size] & (falls_in == 0)
            falls_in[first] = month - then.month
    rows, weight = _looked_at(then, falls_in, foresight.share, plan.seed)
    now = then.month - plan.first.month
    ahead = lines[now : now + AHEAD + 1]
    columns = {
        "household_id": codes.take(pa.array(rows)),
        "as_of": np.full(rows.size, then.month, np.int32),
        "weight": weight,
        "falls_in": falls_in[rows].astype(np.int8),
    }
    for knows in ("full", "observable"):
        curve = first_falls(
            then, rows, lines=ahead, times=foresight.times, seed=plan.seed, profile=plan.of(spot), knows=knows
        )
        columns |= {f"{knows}_{h}": curve[:, h - 1] for h in HORIZONS}
    return pa.table(columns)


def _looked_at(place: Township, falls_in: Ints, share: float, seed: int) -> tuple[Ints, Floats]:
    """The rows of all who fall and of a sample of the others at risk, and how many households each stands for."""
    homes = place.homes
    at_risk = homes.active & ~in_trouble(place) & (homes.monitored == 0) & (homes.pending == 0)
    falls, others = np.flatnonzero(at_risk & (falls_in > 0)), np.flatnonzero(at_risk & (falls_in == 0))
    draws = Draws(seed, 1 + place.number, place.month).of("looked at")
    some = np.sort(draws.choice(others, min(others.size, max(1, round(share * others.size))), replace=False))
    weight = np.concatenate([np.ones(falls.size), np.full(some.size, others.size / max(some.size, 1))])
    return np.concatenate([falls, some]), weight


def in_trouble(place: Township) -> Bools:
    """Which households are below the line, or have a guarantee that fails."""
    homes = place.homes
    return np.asarray(homes.active & (homes.below | (homes.failing > 0)), bool)
