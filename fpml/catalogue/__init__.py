"""policy/*.yaml -> frozen, validated types with a fingerprint."""

from fpml.catalogue.deliveries import WITHDRAWN, Column, DeliveryName, Department, Item, Layout, layouts, plain_header
from fpml.catalogue.load import load
from fpml.catalogue.model import HEADS, LINE, Catalogue, Wording, heads_feature, references
from fpml.catalogue.types import (
    EVER,
    Condition,
    County,
    Coverage,
    DatedValue,
    Derived,
    Feature,
    FeatureSet,
    Indicator,
    Language,
    MonitoringLine,
    OutcomeDefinition,
    Rule,
    Window,
    Words,
)

__all__ = [
    "EVER", "HEADS", "LINE", "WITHDRAWN", "Catalogue", "Column", "Condition", "County", "Coverage", "DatedValue",
    "DeliveryName", "Department", "Derived", "Feature", "FeatureSet", "Indicator", "Item", "Language", "Layout",
    "MonitoringLine", "OutcomeDefinition", "Rule", "Window", "Wording", "Words", "heads_feature", "layouts", "load",
    "plain_header", "references",
]  # fmt: skip
