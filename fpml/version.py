"""Which code this is: its version, a digest of its own source, and the libraries that decide a list's bytes."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# A newer one of these may sum in another order, grow other trees or zip other bytes.
LIBRARIES = ("lightgbm", "numba", "numpy", "pandas", "pyarrow", "xlsxwriter")


@cache
def code() -> dict[str, str]:
    """What a list is stamped with: `fpml`, `source` (sixteen hex digits of all modules), `python` and the libraries."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(here.rglob("*.py"), key=lambda p: p.relative_to(here).as_posix()):
        name = path.relative_to(here).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    libraries = {name: _version(name) for name in LIBRARIES}
    own = {"fpml": _version("fpml"), "source": digest.hexdigest()[:16], "python": platform.python_version()}
    return own | libraries


def _version(package: str) -> str:
    """The installed version of a package; empty where it lies beside the path and is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
