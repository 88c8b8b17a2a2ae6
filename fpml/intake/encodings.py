"""Which encoding a text file is in, found out by decoding all of it, a megabyte at a time."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fpml.errors import DeliveryError

CHUNK = 1 << 20  # bytes
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Of its first megabyte, the share of NUL bytes from which a file is none of text.
_BINARY = 0.01
# After so many characters in valid UTF-8, bytes that are none mean damage, not another encoding: of common characters
# in GB18030, about one in six passes for UTF-8.
_SURELY_UTF8 = 20


@dataclass(frozen=True)
class Script:
    """How a file's bytes are characters: the encoding, and how many bytes a byte order mark takes.

    `ended`: its last line has a line end. `whole`: it does not end within a character.
    """

    encoding: str
    mark: int
    ended: bool
    whole: bool


@dataclass(frozen=True)
class _Attempt:
    """A file decoded in one encoding: its script, None from some byte on; and its characters beyond ASCII till then.

    Counting ends where there are enough to be sure of an encoding.
    """

    script: Script | None
    byte: int
    beyond: int


def script(path: Path) -> Script:
    """The file's script: that of its byte order mark, else UTF-8 if all of it is, else GB18030.

    Raises DeliveryError where it is in none of them.
    """
    try:
        with path.open("rb") as f:
            first = f.read(CHUNK)
        return _script(path, first)
    except OSError as e:
        raise DeliveryError(path.name, f"cannot be read ({e.strerror})", "Check the disk and the folder.") from None


def _script(path: Path, first: bytes) -> Script:
    for mark, encoding in _MARKS.items():
        if first.startswith(mark):
            return _certain(path, _attempt(path, encoding, len(mark)))
    if first.count(0) > _BINARY * len(first):
        raise DeliveryError(path.name, "not a text file (too many empty bytes)", "Save the table as .xlsx or .csv.")
    unicode = _attempt(path, "utf-8", 0)
    if unicode.script and (unicode.script.whole or unicode.beyond):
        return unicode.script
    if not unicode.script and unicode.beyond >= _SURELY_UTF8:
        return _certain(path, unicode)
    return _certain(path, _attempt(path, "gb18030", 0))


def _certain(path: Path, attempt: _Attempt) -> Script:
    if not attempt.script:
        raise DeliveryError(
            path.name, f"neither UTF-8 nor GB18030 throughout (at byte {attempt.byte:,})", "Save it as CSV UTF-8."
        )
    return attempt.script


def _attempt(path: Path, encoding: str, mark: int) -> _Attempt:
    decoder = codecs.getincrementaldecoder(encoding)()
    at, beyond, last = mark, 0, "\n"
    for chunk in _chunks(path, mark):
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as e:
            before = e.object[: e.start].decode(encoding, "ignore")
            return _Attempt(None, at - pending + e.start, beyond + _beyond(before))
        beyond += _beyond(text) if beyond < _SURELY_UTF8 else 0
        at += len(chunk)
        last = text[-1:] or last
    whole = not decoder.getstate()[0]
    return _Attempt(Script(encoding, mark, ended=whole and last in "\r\n", whole=whole), at, beyond)


def _chunks(path: Path, mark: int) -> Iterator[bytes]:
    with path.open("rb") as f:
        f.seek(mark)
        while chunk := f.read(CHUNK):
            yield chunk


def _beyond(text: str) -> int:
    return 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
