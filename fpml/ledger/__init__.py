"""The ledger: bitemporal records in a Delta Lake table, partitioned by household shard."""

from fpml.ledger.copies import lent
from fpml.ledger.facts import (
    SCHEMA,
    WORDS,
    Hashes,
    Words,
    coded,
    days,
    encoded,
    fact_keys,
    hashes,
    household_order,
    indicator_codes,
    latest,
    marked,
    shard_of,
    words_of,
)
from fpml.ledger.reading import Reading, digest_of
from fpml.ledger.table import SHARDS, Ledger

__all__ = [
    "SCHEMA",
    "SHARDS",
    "WORDS",
    "Hashes",
    "Ledger",
    "Reading",
    "Words",
    "coded",
    "days",
    "digest_of",
    "encoded",
    "fact_keys",
    "hashes",
    "household_order",
    "indicator_codes",
    "latest",
    "lent",
    "marked",
    "shard_of",
    "words_of",
]
