"""What a study is made of, kept on disk: the second look at the same months needs neither the ledger nor a model.

It can always be found anew from them: a file for each of the last months looked at, named by what it was made from.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.measure import Events
from fpml.measure.metrics import Bools, Floats, Ints

_ABOUT = b"fpml"
# No feature is called so.
_SCORE, _BELOW = "", " "
# So many are kept, of the months looked at last.
KEPT = 2


@dataclass(frozen=True)
class Gathered:
    """Histories of the months (households by number), scores, and what happened to whom; `about`: plain figures.

    `below`: rows of households below the line already and not in monitoring.
    """

    histories: pa.Table
    score: Floats
    below: Bools
    falls: Events
    causes: Ints
    identified: Events
    verified: tuple[Ints, Ints, Bools]
    about: Mapping[str, int | bool]

    def save(self, path: Path) -> None:
        """Writes it in one step, and removes what was looked at longest ago; a full disk is no matter."""
        half = path.with_suffix(".part")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(half), "wb") as sink:
                for table in self._tables():
                    # Not compressed: a file that is mapped into memory is there at once.
                    with pa.ipc.new_stream(sink, table.schema) as out:
                        out.write_table(table)
            half.replace(path)
            for old in sorted(path.parent.glob("lookback-*.arrow"), key=lambda p: p.stat().st_mtime_ns)[:-KEPT]:
                old.unlink(missing_ok=True)

    def _tables(self) -> tuple[pa.Table, ...]:
        scored = self.histories.append_column(_SCORE, pa.array(self.score))
        scored = scored.append_column(_BELOW, pa.array(self.below)).unify_dictionaries().combine_chunks()
        about = {_ABOUT: json.dumps(dict(self.about))}
        falls = {"household": self.falls.household, "month": self.falls.month, "cause": self.causes}
        entered = {"household": self.identified.household, "month": self.identified.month}
        household, day, confirmed = self.verified
        verified = {"household": household, "day": day, "confirmed": confirmed}
        return (
            scored.replace_schema_metadata(about),
            *(pa.table({k: pa.array(v) for k, v in t.items()}) for t in (falls, entered, verified)),
        )

    @classmethod
    def load(cls, path: Path) -> "Gathered":
        """What was kept; raises OSError, pa.ArrowException or KeyError where it is not there or not whole."""
        with pa.memory_map(str(path)) as source:
            scored, falls, entered, verified = (pa.ipc.open_stream(source).read_all() for _ in range(4))
        about = json.loads((scored.schema.metadata or {})[_ABOUT])
        # The time of the last look, which says what is kept.
        with suppress(OSError):
            os.utime(path)
        score = np.asarray(scored[_SCORE].to_numpy(), np.float64)
        columns = {n: t[n].to_numpy() for t in (verified,) for n in t.column_names}
        return cls(
            scored.drop_columns([_SCORE, _BELOW]).replace_schema_metadata(None),
            score,
            scored[_BELOW].to_numpy(),
            Events(falls["household"].to_numpy(), falls["month"].to_numpy()),
            falls["cause"].to_numpy(),
            Events(entered["household"].to_numpy(), entered["month"].to_numpy()),
            (columns["household"], columns["day"], columns["confirmed"].astype(bool)),
            about,
        )


def narrowed(histories: pa.Table) -> pa.Table:
    """The same histories, each feature in the narrowest integers that hold it: a third of the memory."""
    columns = [_narrow(histories[name].combine_chunks()) for name in histories.column_names]
    return pa.table(dict(zip(histories.column_names, columns, strict=True)))


def _narrow(column: "pa.Array | pa.ChunkedArray") -> "pa.Array | pa.ChunkedArray":
    if not pa.types.is_integer(column.type):
        return column
    span = pc.min_max(column).as_py()
    for kind in (pa.int8(), pa.int16(), pa.int32()):
        limit = 2 ** (kind.bit_width - 1)
        if span["min"] is None or (-limit <= span["min"] and span["max"] < limit):
            return column.cast(kind)
    return column
