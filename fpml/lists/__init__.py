"""Rank, reasons in words, and the files that leave the building."""

from fpml.lists.corrections import write_corrections
from fpml.lists.evidence import deadline_in_words, hit_in_full
from fpml.lists.issued import Issued, printed_hash
from fpml.lists.publish import Desk, write_lists
from fpml.lists.published import in_peace, keep_listed, listed_lately, published_after, restore
from fpml.lists.rank import rank
from fpml.lists.reasons import reasons, rule_in_words, value_in_words
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
from fpml.lists.tokens import Token
from fpml.lists.warning_list import WarningList, draw_up, scores, standing
from fpml.lists.workbook import write_csv, write_workbook

__all__ = [
    "FILL", "LONGEST", "About", "Desk", "Forms", "Issued", "Token", "WarningList", "deadline_in_words", "draw_up",
    "for_print", "hit_in_full", "in_peace", "keep_listed", "let_dates", "let_fill_in", "listed_lately", "printed_hash",
    "published_after", "rank", "reasons", "restore", "rule_in_words", "scores", "standing", "value_in_words",
    "workbook", "write", "write_corrections", "write_csv", "write_lists", "write_options", "write_workbook",
]  # fmt: skip
