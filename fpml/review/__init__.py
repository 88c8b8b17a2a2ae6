"""What people look at besides the lists: pages and tables of what came in, each from one typed context."""

from fpml.review.build import asking, review
from fpml.review.card import Card
from fpml.review.cases import Said
from fpml.review.context import Review
from fpml.review.deliveries import Deliveries, Source, deliveries, sources, total
from fpml.review.pages import written
from fpml.review.shown import answer_table, figures_table
from fpml.review.sides import Sides
from fpml.review.study import CONFIRMED, Audited, Study, Visits
from fpml.review.terminal import findings_below, intake_table, nothing_waits, places_below
from fpml.review.what_if import Answer, WhatIf

__all__ = [
    "CONFIRMED",
    "Answer",
    "Audited",
    "Card",
    "Deliveries",
    "Review",
    "Said",
    "Sides",
    "Source",
    "Study",
    "Visits",
    "WhatIf",
    "answer_table",
    "asking",
    "deliveries",
    "figures_table",
    "findings_below",
    "intake_table",
    "nothing_waits",
    "places_below",
    "review",
    "sources",
    "total",
    "written",
]  # fmt: skip
