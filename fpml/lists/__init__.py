"""Rank, reasons in words, and the files that leave the building."""

from fpml.lists.corrections import write_corrections
from fpml.lists.editions import POLICY, Edition, MadeFrom, editions, half_made, hashes, newest, put_in_force, sealed
from fpml.lists.evidence import deadline_in_words, hit_in_full
from fpml.lists.issued import Issued, printed_hash
from fpml.lists.known import Known, known
from fpml.lists.publish import Desk, write_lists
from fpml.lists.published import LISTED, earlier, in_peace, keep_listed, listed_in, listed_lately, published_after
from fpml.lists.rank import rank
from fpml.lists.reasons import Told, all_told, reasons
from fpml.lists.sheets import (
    FILL,
    LONGEST,
    About,
    Forms,
    for_print,
    let_dates,
    let_fill_in,
    workbook,
    write,
    write_options,
)
from fpml.lists.standing import Standing, scores, standing
from fpml.lists.telling import Reason, Teller
from fpml.lists.tokens import Token
from fpml.lists.values import rule_in_words, value_in_words
from fpml.lists.warning_list import WarningList, draw_up
from fpml.lists.workbook import write_csv, write_workbook
from fpml.lists.yardstick import Yardstick

__all__ = [
    "FILL", "LISTED", "LONGEST", "POLICY", "About", "Desk", "Edition", "Forms", "Issued", "Known",
    "MadeFrom", "Reason", "Standing", "Teller", "Token", "Told", "WarningList", "Yardstick", "all_told",
    "deadline_in_words", "draw_up", "earlier", "editions", "for_print", "half_made", "hashes", "hit_in_full",
    "in_peace", "keep_listed", "known", "let_dates", "let_fill_in", "listed_in", "listed_lately", "newest",
    "printed_hash", "published_after", "put_in_force", "rank", "reasons", "rule_in_words", "scores", "sealed",
    "standing", "value_in_words", "workbook", "write", "write_corrections", "write_csv", "write_lists",
    "write_options", "write_workbook",
]  # fmt: skip
