"""Months run in processes of their own, to be killed, starved of disk or sent back in time; imported by their tests."""

import contextlib
import ctypes
import io
import multiprocessing
import os
import sys
from datetime import date
from multiprocessing.process import BaseProcess
from pathlib import Path

from fpml import lists
from fpml.dates import AsOf

# What a run needs is imported once, by the server that all of them are forked from.
CONTEXT = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
CONTEXT.set_forkserver_preload(["fpml.cli", "fpml.replay"])
CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def run(root: Path, month: str, limit: int | None = None, today: date | None = None, bound: bool = False) -> None:
    """`fpml month` by the county's verbs, ended by its exit status.

    `limit`: no file may grow larger; `today`: what the clock says; `bound`: even root may not write where it has no
    right to.
    """
    if bound:
        ctypes.CDLL(None).prctl(CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)
        # Only a program begun anew is held to it.
        os.execv(
            sys.executable, [sys.executable, "-m", "fpml.cli", "month", month, "--quiet", "--workspace", str(root)]
        )
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if today is not None:
        from fpml import inbox
        from fpml import month as batch

        class Clock(date):
            @classmethod
            def today(cls) -> date:
                return today

        for module in (batch, inbox):
            module.date = Clock  # type: ignore[attr-defined]
    from fpml.cli import main

    # What is said to the terminal may be a file, which may not grow either.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = main(["month", month, "--quiet", "--workspace", str(root)])
    sys.exit(status)


def begin(root: Path, month: str, **how: object) -> BaseProcess:
    process = CONTEXT.Process(target=run, args=(root, month), kwargs=how)
    process.start()
    return process


def status(root: Path, month: str, **how: object) -> int | None:
    """Runs a month to its end; its exit status."""
    process = begin(root, month, **how)
    process.join(300)
    return process.exitcode


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its place."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def halves_seen(folder: Path, month: str) -> list[str]:
    """What a reader that looks for the newest list now finds half of; nothing: a whole list, or none."""
    edition = lists.newest(folder, AsOf.parse(month))
    if edition is None:
        return []
    return [*edition.altered()] if edition.made else ["no stamp"]
