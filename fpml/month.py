"""The monthly batch: one straight function. One run publishes one edition of one month's list, or nothing.

Whatever is made is made from a `MadeFrom` alone (`drawn`, `written`): the same functions serve a replay.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fpml import lists
from fpml.catalogue import Language, fingerprint, policy_files
from fpml.county import County
from fpml.dates import AsOf
from fpml.engine import spared
from fpml.errors import FpmlError, InputError, NotYetError, disk, place_of
from fpml.health import Alarm
from fpml.intake import Receipt
from fpml.kept_steps import KeptSteps
from fpml.ledger import digest_of
from fpml.lists import Desk, Edition, MadeFrom, Standing, WarningList
from fpml.lock import alone
from fpml.past import Then
from fpml.record import Record
from fpml.risk import RiskModel
from fpml.rules import Bools, hits
from fpml.stages import Stages
from fpml.version import code
from fpml.watch import stamp_of
from fpml.workspace import DEFAULT_POLICY

STAGES = ("intake", "histories", "hits", "scores", "reasons", "lists")
HEALTH, REVIEW = "health", "review"
# Of which file of the ledger how much became known when: in the cache.
COUNTED = "known-by-month.json"
ByMonth = Mapping[int, tuple[int, int]]


@dataclass(frozen=True)
class Published:
    """What a month's run did: the deliveries taken in, the edition that is in force, and the month's alarms.

    `new`: whether this run published it; else nothing had changed since. `changed`: what was not the same as when the
    edition before it was published. `later`: months published before, whose lists could not know of this one: they may
    name the same households. `review`: the pages written, if any. `logged`: whether the alarms are in MLflow too; None
    where nothing was to be logged. `unwatched`: what failed of the monitors; nothing where nothing did: the list stands
    all the same, and the next run asks them again.
    """

    receipts: list[Receipt]
    edition: Edition
    new: bool
    changed: tuple[str, ...]
    later: tuple[str, ...]
    review: tuple[Path, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    logged: bool | None = None
    unwatched: tuple[FpmlError, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the edition lies."""
        return self.edition.folder

    @property
    def listed(self) -> list[str]:
        """The households that it lists, in order."""
        return pq.read_table(self.folder / lists.LISTED)["household_id"].to_pylist()


def run(
    county: County,
    as_of: str | AsOf,
    *,
    language: Language | None = None,
    stages: Stages | None = None,
    with_review: bool = False,
    today: date | None = None,
) -> Published:
    """Takes in what lies in the deliveries folder, and publishes the warning list of one as-of, whole or not at all.

    Where nothing that decides the list has changed since it was published, nothing is written. Raises BusyError where
    another run is at it, DiskError where the disk refuses, InputError where the clock has gone back.
    """
    month, space, told = AsOf.parse(as_of), county.workspace, stages or Stages()
    told.plan((*STAGES, HEALTH, *((REVIEW,) if with_review else ())), space.cache / "month-times.json")
    with disk(f"month {month}"), alone(space.cache / "month.lock", f"fpml month {month}"), spared():
        here = replace(county, progress=told.within)
        with told.stage("intake") as counts:
            _clock(here, today or date.today())
            receipts = here.intake(today=today)
            ledger = here.ledger
            by_month = ledger.known_by_month(space.cache / COUNTED)
            counts |= {"deliveries": len(receipts), "rows": sum(r.rows for r in receipts)}
        before = lists.newest(space.lists, month)
        made = _made_from(here, month, language, (ledger.version, digest_of(by_month, month.month)), before)
        changed = _changed(before, made)
        # Pinned: what another run takes in or trains from here on makes no half-new list.
        pinned = replace(here, then=Then(made, ledger.version, made.vault))
        edition, drawn_up = (before, None) if before and not changed else _publish(pinned, month, by_month, told)
        new = edition != before
        _recorded(here, edition)
        asked = new or receipts or drawn_up or not here.watch.has_asked(edition)
        alarms, logged, unwatched = _watched(pinned, edition, drawn_up, told) if asked else ((), None, ())
        pages = _reviewed(here, month, told) if with_review else ()
        if len(told.done) == len(told.names):
            told.keep()
    after = tuple(lists.published_after(space.lists, month))
    return Published(receipts, edition, new, changed if new else (), after, pages, alarms, logged, unwatched)


def _clock(county: County, today: date) -> None:
    """Raises InputError where the ledger holds what became known after today: records would be refused as to come."""
    if county.ledger.version >= 0 and county.ledger.rows and (last := county.ledger.known_span()[1]) > today:
        problem = f"it says {today}, and the ledger holds what became known on {last}"
        raise InputError("clock", problem, "Set this machine's clock, and run again; nothing was taken in.")


def _made_from(
    county: County, month: AsOf, language: Language | None, ledger: tuple[int, str], before: Edition | None
) -> MadeFrom:
    """What a list of this month would be made from now; `ledger`: its version, and what it knows by the as-of.

    Where nothing that was known by the as-of has changed, the ledger's version stays that of the edition before, and so
    does the vault's: later months' deliveries make no other list.
    """
    (version, known), last = ledger, before.made if before else None
    vault, names = 0, ""
    if county.vault:
        vault = county.vault.version
        names = county.vault.known_by(month.date, vault)
    return MadeFrom(
        as_of=str(month),
        language=language or county.catalogue.county.language,
        ledger=last.ledger if last and last.known == known else version,
        known=known,
        policy=county.catalogue.fingerprint,
        models=dict(county.trained.artefacts(month)),
        earlier=lists.earlier(county.workspace.lists, month),
        key=county.desk().key.fingerprint,
        code=code(),
        names=names,
        vault=last.vault if last and last.names == names else vault,
    )


def _changed(before: Edition | None, made: MadeFrom) -> tuple[str, ...]:
    """What is not the same as for the edition before; `stamp` where it has none."""
    if before is None:
        return ("first",)
    last = before.made
    return ("stamp",) if last is None else last.differs(made)


def _publish(county: County, month: AsOf, by_month: ByMonth, stages: Stages) -> tuple[Edition, WarningList]:
    """Makes the list and publishes it; gives the edition before where its files come out the same byte for byte."""
    assert county.then is not None
    space, made = county.workspace, county.then.made
    warnings = drawn(county, month, stages=stages, kept=_kept(county), by_month=by_month)
    with stages.stage("lists") as counts:
        half = lists.half_made(space.lists, month)
        written(warnings, half, county.desk())
        files = lists.sealed(half, made, warnings.about, _policy(county))
        counts |= {"listed": len(warnings.rows), "files": len(files)}
        before = lists.newest(space.lists, month)
        if before and before.files == files:
            shutil.rmtree(half)
            edition = before
        else:
            edition = lists.put_in_force(half, space.lists, month)
    return edition, warnings


def _kept(county: County) -> KeptSteps:
    """The steps of the run that makes what the county was opened for."""
    assert county.then is not None
    return KeptSteps.of(county.workspace.cache / "month", county.then.made.digest)


def drawn(
    county: County, month: AsOf, *, stages: Stages, kept: KeptSteps, by_month: ByMonth | None = None
) -> WarningList:
    """The list of a county opened as it was then. `by_month`: keep the scores too."""
    assert county.then is not None
    with stages.stage("histories") as counts:
        histories, counts["resumed"] = kept.histories(lambda: county.at(month))
        counts["households"] = histories.num_rows
    if not histories.num_rows:
        raise NotYetError(f"list {month}", "nobody is watched then", "Take in that month's deliveries first.")
    with stages.stage("hits") as counts:
        held = hits(histories, county.catalogue)
        counts |= {"rules": len(held), "hits": int(sum(h.sum() for h in held.values()))}
    with stages.stage("scores") as counts:
        models = county.models(month)
        stand, counts["resumed"] = _stand(county, histories, models, kept, held)
        counts["models"] = len(models)
        reckoned: tuple[pa.Table, Standing] = histories, stand
        if by_month is not None:
            county.keep_scores(month, reckoned=reckoned, by_month=by_month)
    with stages.stage("reasons") as counts:
        warnings = county.warning_list(month, language=county.then.made.language, reckoned=reckoned)
        counts["listed"] = len(warnings.rows)
    return warnings


def _stand(
    county: County, histories: pa.Table, models: Mapping[str, RiskModel], kept: KeptSteps, held: Mapping[str, Bools]
) -> tuple[Standing, bool]:
    """How each household stands, and whether its probabilities were there already."""
    probability, again = kept.probabilities(
        lambda: lists.scores(histories, models, county.catalogue, over=county.engine.over)
    )
    return lists.standing(histories, models, county.catalogue, probability=probability, held=held), again


def written(warnings: WarningList, folder: Path, desk: Desk) -> None:
    """Writes all files of a list into a folder that is there, villages' too; the same list gives the same bytes."""
    lists.write_lists(warnings, folder, desk)


def _policy(county: County) -> list[Path]:
    """The policy's files, to be kept with the list; raises InputError where they were changed since they were read."""
    files = policy_files(county.workspace.policy, DEFAULT_POLICY)
    if fingerprint(files) != county.catalogue.fingerprint:
        raise InputError("policy", "it was changed while the month was run", "Run again.")
    return files


def _recorded(county: County, edition: Edition) -> None:
    """Records that an edition was published, where no line says so: a run may be killed before it can say it."""
    record, name, made = Record(county.workspace.record), edition.folder.name, edition.made
    if made is None or any(x.get("did") == "published" and x.get("edition") == name for x in record.lines()):
        return
    told = {"ledger": made.ledger, "policy": made.policy, "models": made.models, "stamp": made.digest}
    record.add("published", edition=name, **told)


def _watched(
    county: County, edition: Edition, warnings: WarningList | None, stages: Stages
) -> tuple[tuple[Alarm, ...], bool | None, tuple[FpmlError, ...]]:
    """The month's alarms, whether they are logged in MLflow too, and what failed of it.

    A list that is published stands, whatever its monitors do: their faults are told and no more. That they were asked
    is noted last: where they fail, or the run is killed, the next run asks them again.
    """
    found: list[Alarm] = []
    faults: list[FpmlError] = []
    logged = None
    with stages.stage(HEALTH) as counts:
        with _told_of(faults):
            if warnings is not None or not county.watch.knows(edition):
                _keep(county, edition, warnings)
        with _told_of(faults):
            found = county.watch.alarms(edition.month)
            logged = county.watch.log(edition.month, found)
        with _told_of(faults):
            county.watch.note_asked(edition, asked=not faults)
        counts["alarms"] = len(found)
        if faults:
            counts["fault"] = " ".join(map(str, faults))
    return tuple(found), logged, tuple(faults)


@contextmanager
def _told_of(faults: list[FpmlError]) -> Iterator[None]:
    """Notes what fails within; of what nobody foresaw its kind and place: a message could hold a household's data."""
    try:
        with disk(HEALTH):
            yield
    except FpmlError as e:
        faults.append(e)
    except Exception as e:
        faults.append(FpmlError(HEALTH, f"a fault of ours ({type(e).__name__} at {place_of(e)})", "Please report it."))


def _keep(county: County, edition: Edition, warnings: WarningList | None) -> None:
    """Keeps what an edition was made from for the monitors, and then lets go of the run's steps.

    They are read again from the disk, so that a month needs no more memory for it, and a run that was killed after it
    had published is made up for. `warnings` is None there.
    """
    kept, month = _kept(county), edition.month
    histories, _ = kept.histories(lambda: county.at(month))
    models = county.models(month)
    stand, _ = _stand(county, histories, models, kept, hits(histories, county.catalogue))
    listed = warnings or county.warning_list(month, reckoned=(histories, stand))
    county.watch.keep(histories, stand, listed, models, stamp=stamp_of(edition))
    kept.remove()


def _reviewed(county: County, month: AsOf, stages: Stages) -> tuple[Path, ...]:
    """The pages of the review; none where no model has been trained yet: the list stands all the same."""
    with stages.stage(REVIEW) as counts:
        try:
            return county.write_review(county.review(month))
        except NotYetError as e:
            counts["not_yet"] = e.problem
            return ()
