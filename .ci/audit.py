"""Whether what is installed is what constraints.txt pins, and whether advisories are known against it.

    python .ci/audit.py [--strict] [CONSTRAINTS]

Exit status 1: something is installed that is not pinned, or at another version; with --strict also, an advisory stands
against a pinned version. What is published tomorrow must not keep a clone of today from being tested: without it
advisories are told. The first needs no network. Advisories are asked of PyPI by pip-audit, which uv fetches and runs in
a place of its own; where PyPI's advisories cannot be reached this is said, and is no failure.
"""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
# Ours, and what a new environment holds: pip, and before Python 3.12 setuptools.
UNPINNED = {"fpml", "pip", "setuptools"}
AUDIT, SECONDS, LONGEST = "pip-audit==2.10.1", 3, 60


def normal(name: str) -> str:
    """A package's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, set[str]]:
    """By package the versions that constraints pin: several where they differ by system or Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(normal(name), set()).add(version)
    return found


def strays(versions: dict[str, set[str]]) -> Iterator[str]:
    """What is installed and not pinned, or not at the version that is."""
    for one in distributions():
        name = normal(one.metadata["Name"] or "")
        wanted = versions.get(name)
        if name and name not in UNPINNED and (wanted is None or one.version not in wanted):
            yield f"{name} {one.version} is installed; pinned: {', '.join(sorted(wanted or ())) or 'not at all'}"


def unreachable(name: str, version: str) -> str:
    """Why PyPI's advisories on a version cannot be asked for; nothing where they can. A mirror may hold none."""
    place = f"https://pypi.org/pypi/{name}/{version}/json"
    try:
        with urllib.request.urlopen(place, timeout=SECONDS) as answer:
            return "" if "vulnerabilities" in json.load(answer) else f"{place} holds none"
    except (OSError, ValueError) as e:
        return f"{place}: {e}"


def advisories(constraints: Path) -> tuple[list[str], int, str]:
    """A line for each advisory, how many versions were asked about, and why it was not all (nothing where it was)."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        return [], 0, "uv is not installed"
    asked = ["--requirement", str(constraints), "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json"]
    try:
        argv = [uv, "tool", "run", "--quiet", AUDIT, *asked]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LONGEST, check=False)
        told = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as e:
        return [], 0, f"pip-audit could not be run ({type(e).__name__})"
    # Of what it does not find it says that nothing is known against it: that is no audit.
    left_out = sum("skip_reason" in d for d in told)
    lines = [f"{d['name']} {d['version']}: {v['id']}" for d in told for v in d.get("vulns", ())]
    return lines, len(told) - left_out, f"{left_out} of {len(told)} are not known there" if left_out else ""


def main() -> int:
    """Says both; the exit status."""
    words = [w for w in sys.argv[1:] if w != "--strict"]
    strict, constraints = "--strict" in sys.argv[1:], Path(words[0]) if words else CONSTRAINTS
    versions = pinned(constraints.read_text(encoding="utf-8"))
    wrong = [*strays(versions)]
    for line in wrong:
        print(f"audit: {line}. Run `make setup`, or `make lock` where it is meant.")
    if not wrong:
        print("audit: what is installed is what constraints.txt pins")
    name = next(iter(versions))
    if why := unreachable(name, min(versions[name])):
        print(f"audit: advisories SKIPPED, not reached: {why}")
        return int(bool(wrong))
    found, asked, why = advisories(constraints)
    for line in found:
        print(f"audit: ADVISORY {line}")
    if why:
        print(f"audit: advisories SKIPPED{' in part' if asked else ''}: {why}")
    if asked and not found:
        print(f"audit: no advisory against {asked} pinned versions")
    return int(bool(wrong or (found and strict)))


if __name__ == "__main__":
    sys.exit(main())
