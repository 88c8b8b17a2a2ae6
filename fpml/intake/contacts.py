"""Names, addresses and telephone numbers of a delivery -> entries of the vault; what could be anything else is dropped.

Only rows that tell of a household by its code or its head name somebody: the head. Names of members are not kept, and
nothing of a row that was refused.
"""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import OF_PERSON, Layout
from fpml.intake.cells import plain
from fpml.intake.id_numbers import holds_id_number
from fpml.intake.pieces import Piece
from fpml.intake.reasons import CORRECTION, Codes
from fpml.vault import ENTRIES, ROLES, entries

# What each may be made of, its first character too: nothing that a spreadsheet would run, and no number in a name.
# Rare characters may lie in Unicode's private part, a masked name has stars.
_MADE_OF = {
    "name": r"^[\p{L}\p{Co}〇][\p{L}\p{M}\p{Co}〇·•.・*\- ]*$",
    "address": r"^[\p{L}\p{Co}\d][\p{L}\p{M}\p{Co}〇\d·,.、;:#()/*\- ]*$",
    "telephone": r"^[(]?[0-9][0-9*()\-/、,; 转]*$",
}
# So many characters, at least and at most.
_LENGTH = {"name": (2, 50), "address": (2, 100), "telephone": (5, 40)}
# So many digits in a row, whatever is put between them, are an ID number or an account.
_MOST_DIGITS = {"name": 0, "address": 11, "telephone": 14}
_NOBODY = ("不详", "未知", "暂无", "没有", "无名", "none", "null", "nan", "n/a", "unknown")


def named(layout: Layout) -> bool:
    """Whether the rows of a layout name heads of households: those that are not of persons."""
    return not layout.of_role(*OF_PERSON)


def cleaned(role: str, cells: pa.StringArray) -> pa.StringArray:
    """The cells that are a name, an address or a telephone number, in one form; null where they are not.

    >>> cleaned("name", pa.array(["张 三", "=1+1", "110105194912310021"])).to_pylist()
    ['张 三', None, None]
    """
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(plain(cells), r"\s+", " "))
    if role == "telephone":
        # Excel keeps numbers as numbers; a plus sign says no more than that it is international.
        text = pc.replace_substring_regex(pc.replace_substring_regex(text, r"^([0-9]+)\.0$", r"\1"), r"^\+", "")
    # Two telephone numbers may stand beside each other; in an address digits parted by commas are one number.
    between = r"[-\s.()*#:·,、;/]" if role == "address" else r"[-\s.()*#:·]"
    close = pc.replace_substring_regex(text, between, "")
    least, most = _LENGTH[role]
    length = pc.utf8_length(text)
    fits = pc.and_(pc.greater_equal(length, least), pc.less_equal(length, most))
    sound = pc.and_(fits, pc.match_substring_regex(text, _MADE_OF[role]))
    long = pc.match_substring_regex(close, rf"[0-9]{{{_MOST_DIGITS[role] + 1},}}")
    number = pa.array(holds_id_number(pc.replace_substring_regex(close, r"[^0-9A-Za-z]", "")))
    nobody = pc.is_in(pc.utf8_lower(text), value_set=pa.array(_NOBODY))
    kept = pc.and_not(pc.and_not(pc.and_not(sound, long), number), nobody)
    return pc.if_else(pc.fill_null(kept, False), text, None)


def told(piece: Piece, outcome: Codes, fault: Codes, *, day: date, own: bool) -> pa.Table:
    """The entries of a piece's rows that were taken in or known already, each household and text once.

    `outcome` and `fault`: what became of each row and fact. Of rows that say the same the latest event counts.
    """
    if not piece.contacts:
        return ENTRIES.empty_table()
    good = np.flatnonzero((fault <= CORRECTION) & (outcome[piece.at] <= CORRECTION))
    event = piece.facts["event_date"].cast(pa.int32()).to_numpy()[good]
    order = good[np.lexsort((-event, piece.at[good]))]
    rows, first = np.unique(piece.at[order], return_index=True)
    facts = piece.facts.take(pa.array(order[first]))
    parts = []
    for role in (r for r in ROLES if r in piece.contacts):
        text = piece.contacts[role].take(pa.array(rows))
        filled = pc.is_valid(text)
        home = facts["household_id"].cast(pa.string()).combine_chunks().filter(filled)
        columns = {"household_id": home, "text": text.filter(filled), "event": facts["event_date"].filter(filled)}
        once = pa.table(columns).group_by(["household_id", "text"], use_threads=False).aggregate([("event", "max")])
        size = once.num_rows
        parts.append(
            entries(
                {
                    "household_id": once["household_id"].combine_chunks(), "role": [role] * size,
                    "text": once["text"].combine_chunks(), "event_date": once["event_max"].combine_chunks(),
                    "known_date": [day] * size, "own": [own] * size,
                }
            )
        )  # fmt: skip
    return pa.concat_tables(parts) if parts else ENTRIES.empty_table()
