"""What a month's run has worked out, kept until the month is published: a run that was killed goes on from there.

Each step is one file, named by the digest of all that it was made from, which is there whole or not at all.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Probabilities = Mapping[tuple[str, int], Floats]


@dataclass(frozen=True)
class KeptSteps:
    """The steps of one run in a folder of its own; None: nothing is kept."""

    folder: Path | None

    @classmethod
    def of(cls, where: Path, digest: str) -> "KeptSteps":
        """Those of a run made from what has this digest; what others left is removed."""
        with suppress(OSError):
            for other in where.iterdir():
                if other.name != digest:
                    shutil.rmtree(other, ignore_errors=True)
        return cls(where / digest)

    def histories(self, make: Callable[[], pa.Table]) -> tuple[pa.Table, bool]:
        """The histories, and whether they were there already."""
        return self._step("histories", make)

    def probabilities(self, make: Callable[[], Probabilities]) -> tuple[Probabilities, bool]:
        """Every row's probabilities by outcome and horizon, and whether they were there already."""

        def made() -> pa.Table:
            found = make()
            return pa.table({json.dumps(k): pa.array(v, from_pandas=False) for k, v in found.items()})

        table, again = self._step("probabilities", made)
        named = ((json.loads(name), table[name].to_numpy()) for name in table.column_names)
        return {(outcome, horizon): p for (outcome, horizon), p in named}, again

    def _step(self, name: str, make: Callable[[], pa.Table]) -> tuple[pa.Table, bool]:
        if self.folder is None:
            return make(), False
        path = self.folder / f"{name}.arrow"
        with suppress(OSError, pa.ArrowException), pa.memory_map(str(path)) as source:
            return pa.ipc.open_stream(source).read_all(), True
        table = make()
        # It can always be made again: a disk that will not take it is no reason to stop.
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(".part")
            with half.open("wb") as sink:
                with pa.ipc.new_stream(sink, table.schema) as out:
                    out.write_table(table)
                sink.flush()
                # A name that survives a power cut must not outlive its content.
                os.fsync(sink.fileno())
            half.replace(path)
        return table, False

    def remove(self) -> None:
        """Removes what was kept."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
