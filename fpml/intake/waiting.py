"""Whom the facts in quarantine wait for, by delivery: looked up by key each month, so that none is read in vain.

It is made of the files of waiting facts alone, and kept: each is read once, and again when it has changed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.intake.register import Register
from fpml.intake.shelf import Shelf

# To be raised when the columns kept on disk change.
FORMAT = 1
# `via`: the pseudonym of a person or of a head; `home`: the household's code where that was told instead.
_SCHEMA = pa.schema([(name, pa.string()) for name in ("delivery", "state", "via", "home")])


def healed(shelf: Shelf, register: Register, kept: Path) -> list[str]:
    """The deliveries of which the register now knows somebody who was waited for; `kept`: where what was read lies."""
    waits = _waits(shelf, kept / f"waiting-{FORMAT}.arrow")
    given = waits["home"].is_valid().to_numpy()
    by_home = register.knows_households(waits["home"].combine_chunks())
    by_person = register.knows(waits["via"].combine_chunks())
    known = np.where(given, by_home, by_person)
    found: list[str] = pc.unique(waits["delivery"].filter(pa.array(known))).to_pylist()
    return sorted(found)


def _waits(shelf: Shelf, path: Path) -> pa.Table:
    """Who is waited for, each once a delivery."""
    now = shelf.waiting()
    before = _read(path)
    states = dict(zip(before["delivery"].to_pylist(), before["state"].to_pylist(), strict=True))
    same = {d for d, state in now.items() if states.get(d) == state}
    if len(same) == len(now) == len(states):
        return before
    kept = before.filter(pc.is_in(before["delivery"], value_set=pa.array(sorted(same), pa.string())))
    whole = pa.concat_tables([kept, *_keys(shelf, now, now.keys() - same)])
    half = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(half), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        writer.write_table(whole)
    half.replace(path)
    return whole


def _keys(shelf: Shelf, states: dict[str, str], deliveries: "set[str]") -> Iterator[pa.Table]:
    for delivery, held in shelf.held(deliveries):
        keys = pa.table({"via": held["via"], "home": held["household_id"].cast(pa.string())})
        keys = keys.group_by(["via", "home"]).aggregate([])
        said = (pa.array([word] * keys.num_rows, pa.string()) for word in (delivery, states[delivery]))
        yield pa.table([*said, keys["via"], keys["home"]], schema=_SCHEMA)


def _read(path: Path) -> pa.Table:
    """What was kept; nothing where it is not there or not whole: it can always be made anew."""
    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as found:
            return found.read_all().cast(_SCHEMA)
    except (OSError, pa.ArrowException, ValueError):
        return _SCHEMA.empty_table()
