"""The key under which ID numbers become pseudonyms: made once, kept in a file that its owner alone may read.

Without the key nobody can try all ID numbers until one gives a pseudonym; with another key everybody would be a
stranger. So it is never made anew where it is missing, and every delivery taken in remembers which key it was.
"""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa

from fpml.errors import InputError, UsageError

Algorithm = Literal["sha256", "sm3"]
# 80 bits: two of a hundred million people share a pseudonym with a chance below one in a hundred million.
DIGITS = 20
_BYTES = 32


@dataclass(frozen=True, repr=False)
class IdentityKey:
    """A secret and the hash it is used with: SHA-256, or SM3 (GB/T 32905) where that is prescribed."""

    algorithm: Algorithm
    secret: bytes

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that tell one key from another and say nothing of it."""
        return hmac.new(self.secret, b"fpml: which key is this", self.algorithm).hexdigest()[:8]

    def signature(self, message: bytes) -> bytes:
        """The HMAC of a message, which begins with what it is for, so that no use of the key is taken for another."""
        return hmac.new(self.secret, message, self.algorithm).digest()

    def pseudonyms(self, numbers: pa.StringArray) -> pa.StringArray:
        """`P` and 20 hex digits of the HMAC of each ID number; null where there is none."""
        begun = hmac.new(self.secret, digestmod=self.algorithm)

        def pseudonym(number: str) -> str:
            """One of them: begun once, and copied, it takes half the time."""
            code = begun.copy()
            code.update(number.encode())
            return "P" + code.hexdigest()[:DIGITS]

        return pa.array([n and pseudonym(n) for n in numbers.to_pylist()], pa.string())


def make(path: Path, algorithm: str = "sha256") -> None:
    """Writes a new key, readable by its owner alone; one that is there already stays as it is."""
    if algorithm not in get_args(Algorithm):
        raise UsageError(f"hash `{algorithm}`", "not one that keys are used with", "Write sha256 or sm3.")
    if algorithm not in hashlib.algorithms_available:
        raise UsageError(f"hash `{algorithm}`", "this Python's OpenSSL does not have it", "Use sha256.")
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR), "w") as f:
        f.write(f"{algorithm}:{secrets.token_hex(_BYTES)}\n")
        f.flush()
        os.fsync(f.fileno())
    # Of two that make one at once the first stands: a link, unlike a renaming, replaces nothing.
    try:
        os.link(half, path)
    except FileExistsError:
        pass
    except OSError:  # a disk that knows no links
        os.replace(half, path)
    half.unlink(missing_ok=True)


def load(path: Path) -> IdentityKey:
    """The key in a file; raises InputError where there is none, it is damaged, or others than its owner may read it."""
    where = f"key {path.name}"
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
    except FileNotFoundError:
        problem = "there is none, and without it nobody can be recognised"
        remedy = "Restore it from its safe copy; for a county that has taken nothing in, run `fpml init` again."
        raise InputError(where, problem, remedy) from None
    except (OSError, UnicodeDecodeError):
        raise InputError(where, "cannot be read", "See who owns it, and restore it from its safe copy.") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(where, "others than its owner may read it", f"Run `chmod 600 {path.name}` in its folder.")
    algorithm, _, secret = text.strip().partition(":")
    if algorithm not in get_args(Algorithm) or len(secret) != 2 * _BYTES or set(secret) - set("0123456789abcdef"):
        raise InputError(where, "damaged", "Restore it from its safe copy.")
    return IdentityKey(algorithm, bytes.fromhex(secret))  # type: ignore[arg-type]
