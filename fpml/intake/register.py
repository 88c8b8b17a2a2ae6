"""Which household each person was in, and when, as the register has told it so far."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import County
from fpml.dates import FAR
from fpml.ledger import Hashes, Ledger, days, hashes, latest, words_of

# To be raised when the columns kept on disk change.
FORMAT = 1
COLUMNS = ("household_id", "person_id", "event_date", "until_date", "known_date", "value", "fact")
_NONE = pa.table(
    {
        "fact": pa.array([], pa.int64()), "known": pa.array([], pa.int32()), "person": pa.array([], pa.uint64()),
        "home": pa.array([], pa.int32()), "start": pa.array([], pa.int32()), "until": pa.array([], pa.int32()),
        "withdrawn": pa.array([], pa.bool_()),
    }
)  # fmt: skip


class Register:
    """Statements of membership, the latest version of each; `add` takes in more. Persons are kept as 64-bit hashes."""

    def __init__(self) -> None:
        self._told = _NONE
        self._homes: dict[str, int] = {}
        self._settled: _Settled | None = None

    @classmethod
    def of(cls, ledger: Ledger, county: County, kept: Path) -> "Register":
        """As the ledger tells it; what was worked out before lies in a folder, and can always be found anew."""
        register = cls()
        if county.membership is None or ledger.version < 0:
            return register
        path = kept / f"register-{FORMAT}-{ledger.content}.arrow"
        try:
            with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as found:
                table = found.read_all()
            register._homes = {h: i for i, h in enumerate(table.schema.metadata[b"homes"].decode().split("\n")) if h}
            register._told = table.replace_schema_metadata(None).select(_NONE.column_names)
        except (OSError, pa.ArrowException, KeyError, TypeError):
            register.add_households(ledger.of_indicator(county.village, ["household_id"])["household_id"])
            register.add(ledger.of_indicator(county.membership, COLUMNS))
        return register

    def save(self, ledger: Ledger, kept: Path) -> None:
        """Keeps it for the ledger as that stands now; what was kept for others goes."""
        path = kept / f"register-{FORMAT}-{ledger.content}.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = self._told.replace_schema_metadata({"homes": "\n".join(self._homes)})
        half = path.with_suffix(".part")
        with pa.OSFile(str(half), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        half.replace(path)
        for old in path.parent.glob("register-*.arrow"):
            if old != path:
                old.unlink(missing_ok=True)

    def add(self, facts: pa.Table) -> None:
        """Takes in statements of membership: rows of the ledger, or such as will be."""
        if not facts.num_rows:
            return
        person, home = words_of(facts["person_id"]), words_of(facts["household_id"])
        codes = np.array([self._homes.setdefault(h, len(self._homes)) for h in home.words.to_pylist()], np.int32)
        until = pc.fill_null(facts["until_date"].cast(pa.date32()).cast(pa.int32()), FAR)
        more = pa.table(
            [
                facts["fact"].cast(pa.int64()), pa.array(days(facts["known_date"])),
                pa.array(person.told(hashes(person.words), np.uint64(0))), pa.array(home.told(codes, np.int32(-1))),
                pa.array(days(facts["event_date"])), until, pc.is_null(facts["value"]),
            ],
            schema=_NONE.schema,
        )  # fmt: skip
        whole = pa.concat_tables([self._told, more]).combine_chunks()
        last = latest(whole["fact"].to_numpy(), whole["known"].to_numpy())
        self._told = whole if last.size == whole.num_rows else whole.take(pa.array(last))
        self._settled = None

    def add_households(self, households: pa.ChunkedArray) -> None:
        """Takes in households of which it has told, whoever may be in them."""
        for home in words_of(households).words.to_pylist():
            self._homes.setdefault(home, len(self._homes))
        self._settled = None

    def households(self, persons: pa.StringArray, day: npt.NDArray[np.int32]) -> pa.DictionaryArray:
        """The household that each person was in on a day; null for whom the register does not know.

        Before the first known membership the first one stands, after the last the last: `households.resolved` says
        what that means for a history.
        """
        home = self._now.at(hashes(persons), day)
        return pa.DictionaryArray.from_arrays(pa.array(home, mask=home < 0), self._now.names)

    def knows(self, persons: pa.StringArray) -> npt.NDArray[np.bool_]:
        """Whether each person is in the register."""
        return self._now.at(hashes(persons), np.zeros(len(persons), np.int32)) >= 0

    def knows_households(self, households: pa.StringArray) -> npt.NDArray[np.bool_]:
        """Whether each household is in the register; an empty cell is not."""
        words = words_of(households)
        known = np.array([w in self._homes for w in words.words.to_pylist()], bool)
        return words.told(known, np.bool_(False))

    @property
    def _now(self) -> "_Settled":
        if self._settled is None:
            self._settled = _Settled.of(self._told, pa.array(list(self._homes), pa.string()))
        return self._settled


@dataclass(frozen=True)
class _Settled:
    """Memberships in order of person and first day; `first` is where each distinct person's begin."""

    names: pa.StringArray
    person: Hashes
    first: npt.NDArray[np.int64]
    start: npt.NDArray[np.int32]
    home: npt.NDArray[np.int32]

    @classmethod
    def of(cls, told: pa.Table, names: pa.StringArray) -> "_Settled":
        standing = told.filter(pc.invert(told["withdrawn"]))
        person, start = standing["person"].to_numpy(), standing["start"].to_numpy()
        order = np.lexsort((standing["known"].to_numpy(), start, person))
        person = person[order]
        begins = np.ones(person.size, bool)
        begins[1:] = person[1:] != person[:-1]
        first = np.append(np.flatnonzero(begins), person.size)
        return cls(names, person[begins], first, start[order], standing["home"].to_numpy()[order])

    def at(self, person: Hashes, day: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The code of each one's household on a day; -1 where the person is not known."""
        out = np.full(person.size, -1, np.int32)
        if self.person.size:
            place = np.minimum(np.searchsorted(self.person, person), self.person.size - 1)
            _look_up(person, day, place, self.person, self.first, self.start, self.home, out)
        return out


@numba.njit(nogil=True, cache=True)
def _look_up(
    person: Any, day: Any, place: Any, known: Any, first: Any, start: Any, home: Any, out: Any
) -> None:  # pragma: no cover  (compiled)
    for i in range(person.size):
        if known[place[i]] != person[i]:
            continue
        at = first[place[i]]
        # The last of those that had begun, or else the first.
        while at + 1 < first[place[i] + 1] and start[at + 1] <= day[i]:
            at += 1
        out[i] = home[at]
