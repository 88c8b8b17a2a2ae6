"""What people look at besides the lists: pages and tables of what came in, each from one typed context."""

from fpml.review.deliveries import Deliveries, Source, deliveries, sources, total
from fpml.review.pages import written
from fpml.review.terminal import findings_below, intake_table, nothing_waits, places_below

__all__ = [
    "Deliveries", "Source", "deliveries", "findings_below", "intake_table", "nothing_waits", "places_below", "sources",
    "total", "written",
]  # fmt: skip
