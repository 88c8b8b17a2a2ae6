"""How fast histories are made from fpml's own ledger: generated records, one as-of and twelve.

    python benchmarks/histories.py [--full]      small: 2,000 households; whole: 20,000 households x 24 months

Prints its figures and writes benchmarks/results/histories.json with sizes, versions and machine.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import fpml
from fpml import engine
from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import Reach, from_ledger, shard_histories, with_context

RESULT = Path(__file__).parent / "results" / "histories.json"
AMOUNTS = ("income_wage", "income_farm", "transfers", "medical_self_paid", "school_fees", "savings")


def deliver(folder: Path, households: int, months: int, *, seed: int = 0) -> int:
    """Writes one Parquet delivery: about eight amounts a household and month, known up to 75 days late."""
    rng = np.random.default_rng(seed)
    n = households * months * 8
    event = np.datetime64("2021-01-01") + rng.integers(0, int(months * 30.4), n).astype("timedelta64[D]")
    known = event + rng.integers(0, 76, n).astype("timedelta64[D]")
    ids = np.array([f"B{i:07d}" for i in range(households)])
    rows = {
        "household_id": pa.array(ids[rng.integers(0, households, n)]),
        "indicator": pa.array(np.array(AMOUNTS)[rng.integers(0, len(AMOUNTS), n)]),
        "event_date": pa.array(event),
        "known_date": pa.array(known),
        "value": pa.array(np.round(rng.lognormal(5, 1.5, n), 2)),
    }
    first = np.datetime64("2021-01-01")
    start = {
        "household_id": pa.array(ids),
        "indicator": pa.array(["members"] * households),
        "event_date": pa.array(np.full(households, first)),
        "known_date": pa.array(np.full(households, first)),
        "value": pa.array(rng.integers(1, 6, households).astype(float)),
    }
    pq.write_table(pa.concat_tables([pa.table(start), pa.table(rows)]), folder / "delivery.parquet")
    return n + households


def timed(catalogue: Catalogue, county: fpml.County, as_ofs: list[AsOf], times: int) -> float:
    """Median seconds from the stored ledger to histories in memory."""
    ledger, taken = county.ledger, []
    for _ in range(times):
        began = time.perf_counter()
        reach = Reach.of(ledger.reach())

        def of_shard(shard: int, reach: Reach = reach) -> pa.Table:
            return shard_histories(from_ledger(ledger.shard(shard), catalogue), catalogue, as_ofs, reach)

        with_context(pa.concat_tables(engine.run(of_shard, range(ledger.shards))), catalogue)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main(full: bool) -> None:
    """Measures, prints and writes."""
    households, months = (20_000, 24) if full else (2_000, 24)
    last = AsOf.parse("2022-12")
    with tempfile.TemporaryDirectory() as where:
        root = Path(where)
        county = fpml.open(fpml.init(root / "county").root)
        rows = deliver(root, households, months)
        began = time.perf_counter()
        (receipt,) = county.intake([root / "delivery.parquet"], today=date(2026, 1, 1))
        intake = time.perf_counter() - began
        timed(county.catalogue, county, [last], 1)  # compiles the kernel
        seconds = {n: timed(county.catalogue, county, [last.shift(-i) for i in range(n)], 5) for n in (1, 12)}
    figures = {
        "households": households,
        "records": rows,
        "accepted": receipt.accepted,
        "features": len(county.catalogue.names()),
        "intake_seconds": round(intake, 2),
        "one_as_of_seconds": round(seconds[1], 3),
        "twelve_as_ofs_seconds": round(seconds[12], 3),
        "twelve_over_one": round(seconds[12] / seconds[1], 2),
        "records_a_second_one_as_of": round(rows / seconds[1]),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "python": platform.python_version(),
        "arrow": pa.__version__,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
    }
    for name, value in figures.items():
        print(f"{name:30s} {value}")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    main(parser.parse_args().full)
