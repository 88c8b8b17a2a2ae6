"""policy/*.yaml -> frozen, validated types with a fingerprint."""

from fpml.catalogue.deliveries import (
    OF_HOUSEHOLD,
    OF_PERSON,
    SPARE,
    WITHDRAWN,
    Column,
    DeliveryName,
    Department,
    Item,
    Layout,
    layouts,
    plain_header,
)
from fpml.catalogue.load import load
from fpml.catalogue.model import HEADS, LINE, Catalogue, Wording, heads_feature, references
from fpml.catalogue.types import (
    EVER,
    Check,
    Condition,
    Conditions,
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
    "EVER", "HEADS", "LINE", "OF_HOUSEHOLD", "OF_PERSON", "SPARE", "WITHDRAWN", "Catalogue", "Check",
    "Column", "Condition", "Conditions", "County", "Coverage", "DatedValue", "DeliveryName", "Department",
    "Derived", "Feature", "FeatureSet", "Indicator", "Item", "Language", "Layout", "MonitoringLine",
    "OutcomeDefinition", "Rule", "Window", "Wording", "Words", "heads_feature", "layouts", "load",
    "plain_header", "references",
]  # fmt: skip
