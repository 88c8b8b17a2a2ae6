"""Runs one pure function over the shards. Threads: the kernel, Arrow and Parquet all let go of the interpreter's lock,
and threads share what they read, where processes would copy it."""

import ctypes
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def workers() -> int:
    """How many shards are worked on at once: FPML_WORKERS where it is set, else one a processor."""
    return int(os.environ.get("FPML_WORKERS") or os.cpu_count() or 1)


def give_back() -> None:
    """Gives freed memory back to the system.

    The GNU library keeps what threads let go of, an arena each: after some calls that is more than a call itself needs.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def run(function: Callable[[Shard], Result], shards: Iterable[Shard]) -> list[Result]:
    """The function's results in the order of the shards; the first error stops the run."""
    with ThreadPoolExecutor(workers()) as pool:
        return list(pool.map(function, shards))
