"""A county's backtest, from its ledger: what is learnt, what every method says, what came; kept origin by origin."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa

from fpml import engine, measure, review, tracking
from fpml.backtests import Backtest, Tested, reported
from fpml.catalogue import Language
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.gathered import narrowed
from fpml.lookback import Lookback
from fpml.measure import Panel, needed
from fpml.measure.backtest import REFIT, Said
from fpml.measure.visits import MOST_AS_OFS
from fpml.risk import LearningRows, ModelDefinition
from fpml.seen import seen
from fpml.simulate.causes import CAUSES

# The form of what is kept; another number where it changes.
FORM = 1
# So many backtests are kept: a champion's, a challenger's, and one more.
KEPT = 3
# Each model has a card in each.
LANGUAGES: tuple[Language, ...] = ("zh", "en")
# Lists of so many origins, at the most, are walked before counting begins: who was listed by then is known.
WARM = 6


@dataclass(frozen=True)
class Rolling:
    """What a backtest needs of a county beside its months that have been: how it learns, and whole histories.

    `learn`: the learning rows of each model at some origins; `told`: what outcomes read at all as-ofs; `at`: the whole
    histories of one origin; `every`: models are learnt anew after so many origins.
    """

    lookback: Lookback
    definitions: Mapping[str, ModelDefinition]
    learn: Callable[[Sequence[AsOf]], Mapping[str, LearningRows]]
    told: Callable[[], pa.Table]
    at: Callable[[AsOf], pa.Table]
    every: int = REFIT

    def tested(self, origins: Sequence[AsOf], *, times: int, warm: int = WARM) -> Tested:
        """What every method said at some origins, beside what came.

        `warm`: the lists of so many origins, at the most a third, are walked before counting begins.
        Raises NotYetError where at none of them enough falls were known to learn from.
        """
        if len(origins) > MOST_AS_OFS - 12:
            origins = origins[12 - MOST_AS_OFS :]
        said = [s for each in self._said(origins) for s in each]
        if not said:
            problem = "at no origin were enough falls known to learn from"
            raise NotYetError(f"backtest {origins[0]} to {origins[-1]}", problem, "Take in more months.")
        return self.beside(said, times=times, warm=warm)

    def run(self, origins: Sequence[AsOf], *, times: int) -> Backtest:
        """The backtest over some origins; kept in the reports as JSON and as models' cards, its figures in MLflow.

        Raises NotYetError where no origin has both enough known falls before and labels after.
        """
        tested = self.tested(origins, times=times)
        self.lookback.progress("what each method found")
        catalogue = self.lookback.catalogue
        about: dict[str, object] = {
            "simulated": catalogue.county.simulated,
            "falls": "simulated truth" if tested.truth else "as records tell",
            "policy": catalogue.fingerprint,
            "ledger": self.lookback.ledger.version,
            "visits": catalogue.county.visits,
            "origins": [str(o) for o in dict.fromkeys(s.origin for s in tested.said)],
            "counted": [str(a) for a in tested.panel.counted],
            "learnt_anew_every": self.every,
            "draws": times,
        }
        report = reported(tested, about, ("not known", *CAUSES))
        self._keep(report)
        return report

    def _said(self, origins: Sequence[AsOf]) -> "list[list[Said]]":
        """What was said at each origin: from disk, where it was learnt from the same; else learnt now, and kept."""
        space, catalogue = self.lookback.workspace, self.lookback.catalogue
        learning: dict[str, LearningRows] = {}
        parts = [FORM, self.lookback.ledger.content, catalogue.fingerprint, [*map(str, origins)], self.every]
        if any(d.audited for d in self.definitions.values()):
            told = (seen(space, self.lookback.ledger, o) for o in origins)
            parts += [[t.digest if t else "" for t in told]]
        parts += [{k: d.model_dump_json() for k, d in self.definitions.items()}]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        folder = space.cache / f"backtest-{digest}"
        others = [p for p in space.cache.glob("backtest-*") if p != folder]
        for old in sorted(others, key=lambda p: p.stat().st_mtime_ns)[: 1 - KEPT]:
            shutil.rmtree(old, ignore_errors=True)

        def done(origin: AsOf) -> list[Said] | None:
            with suppress(OSError, pa.ArrowException, KeyError, ValueError):
                names = json.loads((folder / f"{origin}.json").read_text(encoding="utf-8"))
                return [Said.load(folder / f"{origin}-{n}.parquet") for n in names]
            if not learning:
                self.lookback.progress("what is learnt from")
                learning.update(self.learn(origins))
            self.lookback.progress(f"backtest at {origin}", origins.index(origin) / len(origins))
            return None

        out: list[list[Said]] = []
        for each in measure.backtest(
            self.definitions, learning, self.at, catalogue, origins=origins, every=self.every, done=done, run=engine.run
        ):
            origin = origins[len(out)]
            if not (folder / f"{origin}.json").is_file():
                for s in each:
                    s.save(folder / f"{origin}-{s.outcome}.parquet")
                folder.mkdir(parents=True, exist_ok=True)
                half = folder / f"{origin}.part"
                half.write_text(json.dumps([s.outcome for s in each]), encoding="utf-8")
                half.replace(folder / f"{origin}.json")
            out.append(each)
        return out

    def beside(self, said: Sequence[Said], *, times: int, warm: int) -> Tested:
        """What was said, beside what came; `warm`: see `tested`."""
        lookback = self.lookback
        origins = tuple(dict.fromkeys(s.origin for s in said))
        later = lookback.later(origins)
        table = narrowed(lookback.histories(*origins, *later, names=needed(lookback.catalogue)))
        coded = table["household_id"].combine_chunks().dictionary_encode()
        table = table.set_column(0, "household_id", coded)
        first = min(warm, len(origins) // 3)
        panel = Panel(table, (*origins, *later), len(origins), lookback.catalogue, first)
        events, causes, below, about = lookback.falls(panel)
        return Tested(
            lookback.catalogue, said, panel, events, causes, below, int(about["known_to"]), self.told(),
            bool(about["truth"]), times, engine.run,
        )  # fmt: skip

    def _keep(self, report: Backtest) -> None:
        space = self.lookback.workspace
        space.reports.mkdir(parents=True, exist_ok=True)
        half = space.reports / ".part-backtest.json"
        half.write_text(json.dumps(report.as_json(), indent=1, ensure_ascii=False), encoding="utf-8")
        half.replace(space.reports / "backtest.json")
        for name, definition in self.definitions.items():
            card = review.Card.of(definition.outcome, report.as_json())
            for language in LANGUAGES:
                text = card.text(self.lookback.catalogue, language)
                review.written(space.reports / f"card-{name}.{language}.md", text)
        params = {k: str(report.about[k]) for k in ("simulated", "falls", "policy", "ledger", "visits")}
        tracking.log_figures(space.tracking(), name="backtest", params=params, metrics=report.metrics())
