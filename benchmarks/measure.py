"""What the benchmarks share: time and peak memory in a process of its own, what it ran on, results, tables."""

import gc
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def timed(
    function: Callable[[], object], *, warm: Callable[[], object] | None = None, times: int = 1
) -> dict[str, Any]:
    """Seconds of each timed call, after one warm-up call, and this process's peak memory in MB.

    `warm`: what to call for the warm-up, where it is not the function itself. What a call returns is let go of before
    the next one.
    """
    (warm or function)()
    seconds = []
    for _ in range(times):
        gc.collect()
        began = time.perf_counter()
        kept = function()
        seconds.append(round(time.perf_counter() - began, 4))
        del kept
    return {"seconds": seconds, "peak_mb": peak_mb()}


def peak_mb() -> int:
    """The most memory (resident set) that this process has held, in MB.

    Linux tells it for the program itself; `ru_maxrss` may include that of the process which started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        told = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if told:
            return round(int(told[0].split()[1]) * 1024 / 1e6)
    unit = 1 if platform.system() == "Darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def apart(script: str | Path, *arguments: str | int | Path) -> dict[str, Any]:
    """Runs a script with arguments in a process of its own; what it printed last, one line of JSON."""
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed with {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processors": usable, "platform": f"{platform.system()} {platform.machine()}", "cpu": _processor()}


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of these packages."""
    return {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in packages}}


def write(name: str, figures: dict[str, Any]) -> Path:
    """Writes figures as benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def show(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table: the first column to the left, the others to the right."""
    cells = [[str(c) for c in row] for row in (heads, *rows)]
    wide = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    for row in cells:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, wide, strict=True))))
