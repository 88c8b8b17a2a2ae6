"""Runs one pure function over the shards. Threads: the kernel, Arrow and Parquet all let go of the interpreter's lock,
and threads share what they read, where processes would copy it."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def run(function: Callable[[Shard], Result], shards: Iterable[Shard], *, workers: int | None = None) -> list[Result]:
    """The function's results in the order of the shards; the first error stops the run."""
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        return list(pool.map(function, shards))
