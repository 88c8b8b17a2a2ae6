"""One code per household and list (一户一码): a signed token that says which row of which list, and nothing of anybody.

    202406-3F9A1C2B-00012-K7QF2M4ZP3XW5YTA    month, list, row, and a signature under the workspace's key

Thirty-eight characters of those that a QR code packs tightly.
"""

import base64
import re
import struct
import zlib
from dataclasses import dataclass

import segno

from fpml.dates import AsOf
from fpml.errors import UsageError
from fpml.keys import IdentityKey

_TOKEN = re.compile(r"(\d{6})-([0-9A-F]{8})-(\d{5})-([A-Z2-7]{16})", re.ASCII)
# What is signed begins with this, so that no other use of a key can be taken for it.
_PURPOSE = b"fpml: token of a row of a list\0"
# Ten bytes: 80 bits, sixteen letters.
_SIGNATURE = 10
MOST_ROWS = 99_999
# Modules of white around the code, and pixels a module.
_QUIET, _SCALE = 4, 4


@dataclass(frozen=True, order=True)
class Token:
    """A row of a published list: its month, the list's id (eight hex digits) and the row's number from 1."""

    month: AsOf
    list_id: str
    row: int

    @property
    def _plain(self) -> str:
        return f"{str(self.month).replace('-', '')}-{self.list_id}-{self.row:05d}"

    def signed(self, key: IdentityKey) -> str:
        """The token as it stands on a list; raises UsageError for a row beyond what it can number."""
        if not 1 <= self.row <= MOST_ROWS:
            raise UsageError(f"list {self.month}", f"more than {MOST_ROWS:,} rows", "Lower `visits` in county.yaml.")
        code = key.signature(_PURPOSE + self._plain.encode())[:_SIGNATURE]
        return f"{self._plain}-{base64.b32encode(code).decode()}"

    @classmethod
    def parse(cls, text: str) -> "Token | None":
        """The row that a token names, whether or not its signature is right; None where it is no token."""
        m = _TOKEN.fullmatch(text)
        if not m:
            return None
        try:
            return cls(AsOf.parse(f"{m[1][:4]}-{m[1][4:]}"), m[2], int(m[3]))
        except UsageError:
            return None


def picture(token: str) -> bytes:
    """The token as a QR code: a PNG of 132 pixels a side, black on white, with the quiet zone that readers need.

    The mask is fixed: trying all eight takes five times as long, and any can be read.
    """
    modules = segno.make(token, version=2, error="m", mask=3, boost_error=False).matrix
    side = (len(modules) + 2 * _QUIET) * _SCALE
    rows: list[bytes] = []
    for line in modules:
        # Each line of a PNG begins with its filter, none; four pixels a module are half a byte, white being 1.
        dark = "F" * _QUIET + "".join("0" if m else "F" for m in line) + "F" * (_QUIET + len(line) % 2)
        rows += [b"\0" + bytes.fromhex(dark)] * _SCALE
    white = [b"\0" + b"\xff" * (len(rows[0]) - 1)] * (_QUIET * _SCALE)
    header = struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"".join([*white, *rows, *white]))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
