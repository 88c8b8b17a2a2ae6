"""What a month's list was made from, in counts and shares: what later months are held against. No household in it."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.health.changes import Change
from fpml.households import condition_holds
from fpml.lists import Standing, WarningList
from fpml.risk import RiskModel

# Chances are counted by their log-odds, in steps of a quarter from 1 in 22,000 to 99 %.
EDGES = np.arange(-10.0, 5.01, 0.25)
# The span by which an indicator's use is told, where it has such a feature: the shortest that spans a month's delay.
SPANS = ("__3m", "__6m", "__12m")
SHARE_OF = ("count", "sum", "last", "holding", "max", "months_with")


@dataclass(frozen=True)
class Snapshot:
    """One list in counts.

    `shares`: by indicator the share of watched households whose records of it are not 0; `hits`: by rule how many it
    hits. `scores`: how many households at risk have log-odds in each step (see EDGES), `chance` their mean chance.
    `listed`, `scored`, `expected`: households listed, those of them with a chance, and the sum of these.
    `reasons`: by department how many of the reasons of high-risk households are its; `told` all of them. `foreseen`:
    what chances of one month foresee for the month after (with a model's `delay` falls rather than entries); `came`:
    how many of those at risk in the month before have entered since; None where it is not known. `changes`: rules that
    are not those of the list before, and `policy_files` that are not. `stamp`: the digest of what the edition that it
    tells of was made from. `asked`: whether the monitors have been asked of it since, without a fault.
    """

    month: str
    policy: str
    meaning: str
    models: Mapping[str, str]
    households: int
    shares: Mapping[str, float]
    hits: Mapping[str, int]
    scores: tuple[int, ...] = ()
    chance: float = 0.0
    listed: int = 0
    scored: int = 0
    expected: float = 0.0
    reasons: Mapping[str, int] = field(default_factory=dict)
    told: int = 0
    foreseen: float | None = None
    came: int | None = None
    changes: tuple[Change, ...] = ()
    policy_files: tuple[str, ...] = ()
    stamp: str = ""
    asked: bool = True

    def rests_on(self, department: str) -> float | None:
        """The share of the reasons of high-risk households that are a department's; None where there are none."""
        return self.reasons.get(department, 0) / self.told if self.told else None

    def keep(self, folder: Path) -> None:
        """Writes it, in one step."""
        path = folder / f"{self.month}.json"
        folder.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        half.write_text(json.dumps(asdict(self), ensure_ascii=False) + "\n", encoding="utf-8")
        half.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Snapshot":
        """What `keep` wrote; raises ValueError for anything else."""
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or not {f.name for f in fields(cls)} >= set(told):
            raise ValueError("not a snapshot")
        told |= {k: tuple(told.get(k, ())) for k in ("scores", "policy_files")}
        return cls(**told | {"changes": tuple(Change(**c) for c in told.get("changes", ()))})


def snapshots(folder: Path, last: AsOf) -> dict[int, Snapshot]:
    """Every snapshot up to a month, by month; one that cannot be read is left out."""
    found = {}
    for path in sorted(folder.glob("????-??.json")):
        with suppress(OSError, ValueError, TypeError):
            told = Snapshot.load(path)
            found[AsOf.parse(told.month).month] = told
    return {m: s for m, s in found.items() if m <= last.month}


def of_list(
    histories: pa.Table, stand: Standing, warnings: WarningList, models: Mapping[str, RiskModel], catalogue: Catalogue
) -> Snapshot:
    """What a list was made from; what came, and what changed, is added by whoever knows the months before."""
    at_risk = ~np.isnan(stand.score)
    chance = np.clip(stand.score[at_risk], 1e-9, 1 - 1e-9)
    odds = np.clip(np.log(chance / (1 - chance)), EDGES[0], EDGES[-1])
    place = pc.index_in(pa.array(warnings.rows["household"], pa.string()), histories["household_id"].cast(pa.string()))
    of_listed = stand.score[np.asarray(place.drop_null(), np.int64)]
    of_listed = of_listed[~np.isnan(of_listed)]
    reasons = _reasons(warnings, catalogue)
    monthly = [p[stand.outcome == name] for (name, months), p in stand.probability.items() if months == 1]
    return Snapshot(
        month=str(AsOf.parse(str(warnings.as_of_date))),
        policy=catalogue.fingerprint,
        meaning=catalogue.meaning,
        models={name: m.fingerprint for name, m in models.items()},
        households=histories.num_rows,
        shares=_shares(histories, catalogue),
        hits={name: int(held.sum()) for name, held in stand.hits.items()},
        scores=tuple(np.histogram(odds, EDGES)[0].tolist()),
        chance=float(chance.mean()) if chance.size else 0.0,
        listed=len(warnings.rows),
        scored=int(of_listed.size),
        expected=float(of_listed.sum()),
        reasons=dict(reasons),
        told=sum(warnings.levels[n] == "high" and len(a) for n, a in enumerate(warnings.asked)),
        foreseen=float(sum(p.sum() for p in monthly)) if monthly else None,
    )


def came(before: pa.Table, histories: pa.Table, catalogue: Catalogue) -> int:
    """How many of those at risk a month before have fallen by now, as now known; `before`: household_id and outcome."""
    place = pc.index_in(before["household_id"], histories["household_id"].cast(pa.string()))
    fell, outcome = 0, before["outcome"].to_numpy(zero_copy_only=False)
    at = np.asarray(pc.fill_null(place, -1), np.int64)
    for name, definition in catalogue.county.outcomes.items():
        held, _ = condition_holds(definition.fall, histories, catalogue)
        fell += int(held[at[(at >= 0) & (outcome == name)]].sum())
    return fell


def _reasons(warnings: WarningList, catalogue: Catalogue) -> Counter[str]:
    """By department how many reasons of high-risk households are made from its records; one may be of several."""
    made: dict[str, set[str]] = {}
    for name in catalogue.model_features():
        made.setdefault(catalogue.group(name), set()).update(catalogue.told_by(name))
    found: Counter[str] = Counter()
    for level, asked in zip(warnings.levels, warnings.asked, strict=False):
        for group in asked if level == "high" else ():
            found.update(_department(group, made, catalogue))
    return found


def _department(group: str, made: Mapping[str, set[str]], catalogue: Catalogue) -> Iterable[str]:
    """Whose records a reason is made from: its indicator's department, or all that a derived one is made from."""
    indicator = catalogue.indicators.get(group)
    return (indicator.department,) if indicator else sorted(made.get(group, ()))


def _shares(histories: pa.Table, catalogue: Catalogue) -> dict[str, float]:
    """By indicator the share of households whose feature of the span nearest to three months is known and not 0."""
    names: dict[str, tuple[int, str]] = {}
    for name, feature in catalogue.features.items():
        if name not in histories.column_names or "_ago" in name or not any(f"__{k}__" in name for k in SHARE_OF):
            continue
        rank = next((n for n, span in enumerate(SPANS) if name.endswith(span)), len(SPANS))
        names[feature.indicator] = min(names.get(feature.indicator, (rank, name)), (rank, name))
    rows = max(1, histories.num_rows)
    return {k: _some(histories[name]) / rows for k, (_, name) in names.items()}


def _some(column: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.not_equal(column, 0)).as_py() or 0)


def spread(scores: Iterable[int], others: Iterable[int]) -> float:
    """The population stability index of one distribution of chances against another, by the other's tenths.

    Sum of (p - q) ln(p / q), a symmetric Kullback-Leibler divergence; 0.1 is called small and 0.25 large in credit
    scoring, where it comes from (Siddiqi 2006). Half a household is put into every tenth, so that none is empty.
    """
    now, then = np.array([*scores], float), np.array([*others], float)
    if not now.sum() or not then.sum():
        return math.nan
    tenth = np.minimum((np.cumsum(then) - then / 2) / then.sum() * 10, 9.999).astype(int)
    p, q = (np.bincount(tenth, weights=x, minlength=10) + 0.5 for x in (now, then))
    used = np.bincount(tenth, weights=then + now, minlength=10) > 0
    p, q = p[used] / p[used].sum(), q[used] / q[used].sum()
    return float(((p - q) * np.log(p / q)).sum())
