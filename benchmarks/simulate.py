"""How long it takes to grow a county and write its files, and how much memory all processes together hold.

    python benchmarks/simulate.py [--full] [--only NAME]

Small: 5,000 households, 36 months. Whole: 220,000 households over 36 and 72 months, and 1,000,000 (several counties)
over 12. Prints its figures and writes benchmarks/results/simulate.json. The counties are simulated.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import RESULTS, machine, versions, write

PACKAGES = ("numpy", "pyarrow", "xlsxwriter")
# name: households, months, first month, style
SMALL = {"demo": (5_000, 36, "2021-01", "records"), "demo_messy": (5_000, 36, "2021-01", "messy")}
FULL = {
    **SMALL,
    "county": (220_000, 36, "2021-01", "records"),
    "county_messy": (220_000, 36, "2021-01", "messy"),
    "county_six_years": (220_000, 72, "2020-11", "records"),
    "million": (1_000_000, 12, "2021-01", "records"),
}


def grown(households: int, months: int, first: str, style: str) -> dict[str, Any]:
    """Seconds of `fpml simulate` as a whole process, and the most memory that its processes held together."""
    with tempfile.TemporaryDirectory() as where:
        fpml = [sys.executable, "-m", "fpml.cli"]
        subprocess.run([*fpml, "init", where, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        command = [*fpml, "simulate", "--households", households, "--months", months, "--first", first]
        command += ["--style", style, "--workspace", where, "--quiet"]
        began = time.perf_counter()
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _held(process.pid))
            time.sleep(0.2)
        if process.returncode:
            raise SystemExit(f"simulate failed with {process.returncode}")
        seconds = time.perf_counter() - began
        files = [p for p in (Path(where) / "data" / "deliveries").rglob("*") if p.is_file()]
        return {
            "households": households,
            "months": months,
            "style": style,
            "seconds": round(seconds, 1),
            "peak_mb": round(peak / 1e6),
            "files": len(files),
            "delivered_gb": round(sum(p.stat().st_size for p in files) / 1e9, 2),
        }


def _held(pid: int) -> int:
    """Bytes that a process and its children hold, what they share counted once; 0 where the system does not tell."""
    family, whole = [pid], 0
    while family:
        one = family.pop()
        try:
            kept = Path(f"/proc/{one}/smaps_rollup").read_text()
            whole += next(int(row.split()[1]) * 1024 for row in kept.splitlines() if row.startswith("Pss:"))
            for thread in os.listdir(f"/proc/{one}/task"):
                family += map(int, Path(f"/proc/{one}/task/{thread}/children").read_text().split())
        except (OSError, StopIteration):
            continue
    return whole


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", choices=sorted(FULL))
    asked = parser.parse_args()
    name = "simulate" if asked.full else "simulate-small"
    path = RESULTS / f"{name}.json"
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for case, sizes in (FULL if asked.full else SMALL).items():
        if asked.only in (None, case):
            figures[case] = grown(*sizes)
            print(json.dumps({case: figures[case]}), flush=True)
    write(name, figures | {"simulated": True, "versions": versions(*PACKAGES), "machine": machine()})


if __name__ == "__main__":
    main()
