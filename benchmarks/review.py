"""What a review takes: the months made ready, the first answer of what-if, further ones, the page.

python benchmarks/review.py [--full]

A simulated county is grown and taken in, a model learnt, and 24 months are reviewed.
`cold`: from the ledger, every month scored; `warm`: months that were looked at before, as a reviewer meets them who
asks on. Small: 5,000 households over 40 months; full: 220,000 over 48.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import apart, machine, peak_mb, show, versions, write

import fpml
from fpml.dates import AsOf
from fpml.simulate import Plan, load_profile

MONTHS, DRAWS = 24, 200
SIZES = {"small": (5_000, 40), "full": (220_000, 48)}


def grown(root: Path, size: str) -> fpml.County:
    """A simulated county whose deliveries are taken in, and its models."""
    households, months = SIZES[size]
    county = fpml.open(fpml.init(root).root)
    plan = Plan(load_profile("jiangxi"), households, first=AsOf.parse("2021-01"), months=months, seed=11)
    county.simulate(plan)
    county.intake()
    origin = county.as_ofs()[-MONTHS - 1]
    for name in county.model_names():
        try:
            county.train(name, origin)
        except fpml.FpmlError as e:
            print(e, file=sys.stderr)
    return county


def asked(root: Path) -> dict[str, Any]:
    """Seconds until the months are ready and of each answer, in a process of its own; peak memory."""
    county = fpml.open(root)
    last = county.as_ofs()[-1]
    proposals = county.catalogue.review.what_if
    name, first = next(iter(proposals.items()))
    began = time.perf_counter()
    what_if = county.what_if(last, months=MONTHS, times=DRAWS)
    ready = time.perf_counter()
    what_if.ask(first)
    answered = time.perf_counter()
    further = {}
    for key, proposal in proposals.items():
        if key != name:
            start = time.perf_counter()
            what_if.ask(proposal)
            further[key] = round(time.perf_counter() - start, 2)
    return {"ready": round(ready - began, 1), "first_answer": round(answered - began, 1), "further": further,
            "peak_mb": peak_mb()}  # fmt: skip


def paged(root: Path) -> dict[str, Any]:
    """Seconds of a whole review of the months, written as a page and as JSON; the page's size."""
    county = fpml.open(root)
    began = time.perf_counter()
    page, _ = county.write_review(county.review(county.as_ofs()[-1], months=MONTHS))
    return {"seconds": round(time.perf_counter() - began, 1), "page_mb": round(page.stat().st_size / 1e6, 2),
            "peak_mb": peak_mb()}  # fmt: skip


def main() -> None:
    """Grows the county, asks it twice, writes the page; prints the figures and keeps them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--part", choices=("asked", "paged"), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help="a county grown before")
    a = parser.parse_args()
    if a.part:
        print(json.dumps({"asked": asked, "paged": paged}[a.part](a.root)))
        return
    size = "full" if a.full else "small"
    with tempfile.TemporaryDirectory() as folder:
        root = a.root or Path(folder) / "county"
        if not a.root:
            grown(root, size)
        told = {kind: apart(__file__, "--part", "asked", "--root", root) for kind in ("cold", "warm")}
        told["page"] = apart(__file__, "--part", "paged", "--root", root)
    show(("", "ready, s", "first answer, s", "further, s", "peak, MB"),
         [(k, told[k]["ready"], told[k]["first_answer"], max(told[k]["further"].values()), told[k]["peak_mb"])
          for k in ("cold", "warm")])  # fmt: skip
    print(f"the page: {told['page']['seconds']} s, {told['page']['page_mb']} MB")
    about = {"households": SIZES[size][0], "months": MONTHS, "draws": DRAWS, "machine": machine(),
             "versions": versions("numba", "numpy", "pyarrow")}  # fmt: skip
    write("review" if a.full else "review-small", {**about, **told})


if __name__ == "__main__":
    main()
