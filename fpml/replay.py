"""A published list made again from what was known then, and held against what was published, byte for byte."""

import tempfile
from dataclasses import dataclass
from dataclasses import replace as with_other
from pathlib import Path

from fpml import lists, month
from fpml.catalogue import load
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import InputError, LedgerError, NotYetError, UsageError, disk
from fpml.kept_steps import KeptSteps
from fpml.ledger import Ledger
from fpml.lists import Desk, Edition, MadeFrom
from fpml.past import Then
from fpml.stages import Stages
from fpml.vault import Vault
from fpml.version import code
from fpml.workspace import DEFAULT_POLICY

STAGES = month.STAGES[1:]


@dataclass(frozen=True)
class Replayed:
    """What came of a replay. `differing`: files that did not come out as published; `altered`: files that are no longer
    as they were published. `read`: the ledger's version that was read. `other_code`: what of the code or its libraries
    is not what the list was published with. `other_names`: the vault no longer tells what it told then.
    """

    edition: Edition
    differing: tuple[str, ...]
    altered: tuple[str, ...]
    read: int
    other_code: tuple[str, ...]
    other_names: bool = False

    @property
    def equal(self) -> bool:
        """Whether every byte is what was published."""
        return not self.differing and not self.altered


def replay(county: County, as_of: str | AsOf, *, number: int | None = None, stages: Stages | None = None) -> Replayed:
    """Makes an edition (None: the newest) of a month's list again, from the ledger, policy, models and lists of then.

    Nothing of the workspace is changed. Raises NotYetError where it was not published, UsageError where there is no
    such edition, InputError where something that it was made from is gone.
    """
    wanted, told = AsOf.parse(as_of), stages or Stages()
    edition = _edition(county, wanted, number)
    made = edition.made
    if made is None:
        problem = "published by an earlier fpml, which did not say from what"
        raise InputError(
            f"list {edition.folder.name}", problem, f"Run `fpml month {wanted}`: the next edition says it."
        )
    told.plan(STAGES, county.workspace.cache / "replay-times.json")
    version = _version(county.workspace.ledger, made, wanted)
    policy = edition.folder / lists.POLICY
    vault, same_names = _vault(Vault(county.workspace.vault), made, wanted)
    then = County(
        county.workspace, load(policy, DEFAULT_POLICY), told.within, Then(made, version, vault), county.engine
    )
    desk = _desk(then, made)
    with disk(f"replay {wanted}"), tempfile.TemporaryDirectory(prefix="fpml-replay-") as where:
        again = Path(where, edition.folder.name)
        again.mkdir()
        warnings = month.drawn(then, wanted, stages=told, kept=KeptSteps(None))
        with told.stage("lists") as counts:
            month.written(warnings, again, with_other(desk, issued=Path(where, "issued")))
            lists.sealed(again, made, warnings.about, sorted(policy.iterdir()))
            differing = _differing(again, edition.folder)
            counts["listed"] = len(warnings.rows)
    told.keep()
    now = code()
    other = tuple(n for n in now if made.code.get(n) != now[n])
    return Replayed(edition, differing, edition.altered(), version, other, not same_names)


def _desk(then: County, made: MadeFrom) -> Desk:
    """What the list was written with; raises InputError where another key signs lists now."""
    desk = then.desk()
    if made.key and desk.key.fingerprint != made.key:
        problem = f"it is {desk.key.fingerprint}, and the list's rows were signed with {made.key}"
        raise InputError(f"key {then.workspace.lists_key.name}", problem, "Restore it from its safe copy.")
    return desk


def _edition(county: County, wanted: AsOf, number: int | None) -> Edition:
    found = lists.editions(county.workspace.lists, wanted)
    if not found:
        raise NotYetError(f"replay {wanted}", "no list of it was published", f"Run `fpml month {wanted}` first.")
    chosen = [e for e in found if number in (None, e.number)]
    if not chosen:
        known = ", ".join(str(e.number) for e in found)
        raise UsageError(f"replay {wanted}", f"there is no edition {number}", f"Published: {known}.")
    return chosen[-1]


def _version(folder: Path, made: MadeFrom, wanted: AsOf) -> int:
    """A version of the ledger that knows by the as-of what was known then: the list's own, or else the one in force."""
    for version in (made.ledger, None):
        try:
            ledger = Ledger(folder, version=version)
            if ledger.known_by(wanted.month) == made.known:
                return ledger.version
        except (LedgerError, NotYetError):
            continue
    problem = (
        f"neither version {made.ledger} nor the one in force tells what was known by {wanted} when it was published"
    )
    raise LedgerError("ledger", problem, "Restore its folder from a copy of that time.")


def _vault(vault: Vault, made: MadeFrom, wanted: AsOf) -> tuple[int, bool]:
    """A version of the vault that tells by the as-of what it told then, the list's own or the one in force; if any."""
    for version in (made.vault, vault.version):
        if vault.known_by(wanted.date, version) == made.names:
            return version, True
    return made.vault, False


def _differing(again: Path, published: Path) -> tuple[str, ...]:
    """The files that are not the same in two folders, byte for byte."""
    places = {p.relative_to(f).as_posix() for f in (again, published) for p in f.rglob("*") if p.is_file()}
    return tuple(sorted(n for n in places if _bytes(again / n) != _bytes(published / n)))


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
