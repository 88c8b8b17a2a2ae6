"""The leakage checks on the real panel, each first seen to fail on a planted leak. Run `make panel` before.

python examples/argentina/leakage.py [SHARDS]     of the ledger's 16; default 4, a quarter of the households
"""

import sys
from pathlib import Path

import pyarrow as pa

import fpml
from fpml.dates import AsOf
from fpml.measure import leakage

WHERE = Path(__file__).parents[2] / "data" / "argentina"
AS_OF = AsOf.parse("2018-09")


def main(shards: int) -> int:
    """Prints each check's verdict, planted leak first; returns 1 if a leak was missed or found where none was put."""
    county = fpml.open(WHERE)
    ledger, catalogue = county.ledger, county.catalogue
    records = pa.concat_tables([ledger.shard(s) for s in range(shards)], promote_options="permissive")
    model = county.models("2018-06")["new_poverty"]
    ahead = leakage.built_with_a_leak(3)
    histories = leakage.built(records, catalogue, county.as_ofs())

    def shuffled(seed: int, overlap: bool) -> leakage.Verdict:
        return leakage.check_shuffled_labels(histories, catalogue, "new_poverty", 3, AS_OF, seed=seed, overlap=overlap)

    verdicts = [
        (True, leakage.check_swap(records, catalogue, model, AS_OF, seed=1, build=ahead)),
        (False, leakage.check_swap(records, catalogue, model, AS_OF, seed=1)),
        (True, leakage.check_late_records(records, catalogue, AS_OF, seed=2, build=ahead)),
        (False, leakage.check_late_records(records, catalogue, AS_OF, seed=2)),
        (True, shuffled(3, True)),
        (False, shuffled(3, False)),
    ]
    for planted, verdict in verdicts:
        print(f"{'planted leak' if planted else 'as it is    '}  {verdict}")
    return int(any(verdict.clean == planted for planted, verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4))
