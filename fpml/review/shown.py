"""A review in a terminal: its figures, and the answers of what-if."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from fpml.catalogue import Language
from fpml.review.columns import columns_of, number, rows_of
from fpml.review.context import Review
from fpml.review.said import say_pair
from fpml.review.what_if import Answer


def figures_table(review: Review, language: Language) -> Table:
    """A row a figure: what it is, the estimate, its 95 % interval."""
    title = f"{review.about[f'county_{language}']}  {review.about['first']} – {review.about['last']}"
    table = Table(box=SIMPLE_HEAD, show_header=False, title=title, title_justify="left")
    for key, row in review.figures.iterrows():
        name, _ = say_pair("figures", str(key))
        kind = str(row["kind"])
        cell = number(kind, row["estimate"], (row["low"], row["high"]))
        table.add_row(name.said(language), cell.said.said(language), cell.between)
    return table


def answer_table(answer: Answer, language: Language) -> Table:
    """A row a figure: as it was, as it would have been, and the difference with its 95 % interval."""
    table = Table(box=SIMPLE_HEAD, title=answer.proposal.name.said(language), title_justify="left")
    columns = columns_of("what_if", answer.figures)
    for column in columns:
        table.add_column(column.head.said(language), justify="left" if column.left else "right")
    for cells in rows_of(columns, answer.figures):
        table.add_row(*(f"{c.said.said(language)} {c.between and f'({c.between})'}".strip() for c in cells))
    return table
