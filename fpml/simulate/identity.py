"""Invented people: names, ID numbers with the right check character, certificate numbers, names of places.

Nothing here is anybody's. Everything follows from a seed and a serial, or from the order in which people are numbered,
so that those who are there stay as they are when others come.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LENGTH = 18
# Sequence numbers of a sex: the odd or the even ones of 000 to 999.
_SEQUENCES = 500
# City codes end at 20 here, so that these steps lead to area codes that are no other county's.
_LARGEST_CITY, _STEP, _STEPS = 20, 2_000, 4
# ISO 7064 MOD 11-2, as in GB 11643-1999: the weight of each digit, and the character of each remainder.
_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHARACTERS = np.frombuffer(b"10X98765432", np.uint8)

_SURNAMES = "王李张刘陈杨黄赵周吴徐孙胡朱高林何郭罗邓谢曾彭萧蔡潘田董袁邹熊万涂龚喻廖"
_GIVEN = "文明华平春林德志国建永金福贵生水根发荣庆"
_MALE = "军勇强伟斌涛辉刚峰波杰鹏龙飞亮松海山"
_FEMALE = "英兰秀芳梅香莲玉凤珍霞丽红娟燕琴萍菊"
_PLACES = "石上下大新东南西北古长龙白青黄高清双金安"
_FEATURES = "塘田溪岭桥湖坪山洲港源背坑泉岗湾陂源林口"


@dataclass(frozen=True)
class Issued:
    """How many ID numbers one township of a county has given out, by area code, day of birth and sex.

    Townships number people each in a lane of its own, so they need not know of one another. It never changes:
    `issue` returns the next one, and whoever keeps an old one can go on from there.
    """

    lane: int
    lanes: int
    keys: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def issue(self, area: Ints, born: Ints, male: Bools) -> "tuple[pa.StringArray, Issued]":
        """ID numbers of 18 characters for people in the order given, and the count with them.

        `area`: the six digits of a county, its city's not above 20; `born`: days since 1970. When a lane of a day is
        full, an area code that is no other county's follows. Raises ValueError where it, too, is full.
        """
        area, born = np.asarray(area, np.int64), np.asarray(born, np.int64)
        _check(area, self.lane, self.lanes)
        # Days from 1800 on are positive and stay below 2^18.
        key = (area << 19) | ((born + 62_091) << 1) | male.astype(np.int64)
        keys, inverse, new = np.unique(key, return_inverse=True, return_counts=True)
        before = self._before(keys)
        nth = before[inverse] + _occurrence(inverse, new)
        width = _SEQUENCES // self.lanes
        step, place = np.divmod(nth, width)
        if step.size and step.max() > _STEPS:
            raise ValueError(f"more than {width * (_STEPS + 1)} people of a sex born on one day in one township")
        sequence = 2 * (self.lane * width + place) + male
        all_keys, at = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
        counts = np.bincount(at, np.concatenate([self.counts, new]), all_keys.size).astype(np.int64)
        return id_numbers(area + _STEP * step, born, sequence), Issued(self.lane, self.lanes, all_keys, counts)

    def _before(self, keys: Ints) -> Ints:
        at = np.searchsorted(self.keys, keys)
        known = (at < self.keys.size) & (np.append(self.keys, -1)[at] == keys)
        return np.where(known, np.append(self.counts, 0)[at], 0)


def _check(area: Ints, lane: int, lanes: int) -> None:
    if not 0 <= lane < lanes <= _SEQUENCES:
        raise ValueError(f"lane {lane} of {lanes}: there are at most {_SEQUENCES}")
    city = area // 100 % 100
    if area.size and (area.min() < 100_000 or area.max() > 999_999 or city.max() > _LARGEST_CITY):
        raise ValueError(f"an area code is six digits, those of the city (the middle two) at most {_LARGEST_CITY}")


def _occurrence(group: Ints, sizes: Ints) -> Ints:
    """How many of the same group come before, in the order given."""
    order = np.argsort(group, kind="stable")
    first = np.cumsum(sizes) - sizes
    nth = np.empty(group.size, np.int64)
    nth[order] = np.arange(group.size) - first[group[order]]
    return nth


def id_numbers(area: Ints, born: Ints, sequence: Ints) -> pa.StringArray:
    """ID numbers: area code, date of birth, sequence number (odd: male) and the check character."""
    day = np.asarray(born, np.int64).astype("datetime64[D]")
    year, month = day.astype("datetime64[Y]"), day.astype("datetime64[M]")
    date = (year.astype(np.int64) + 1970) * 10_000 + (month.astype(np.int64) % 12 + 1) * 100
    date += (day - month).astype(np.int64) + 1
    number = np.asarray(area, np.int64) * 10**11 + date * 1000 + sequence
    digits = number[:, None] // 10 ** np.arange(16, -1, -1) % 10
    characters = np.empty((number.size, LENGTH), np.uint8)
    characters[:, :-1] = digits + ord("0")
    characters[:, -1] = _CHARACTERS[digits @ _WEIGHTS % 11]
    return _strings(characters)


def check_character(first: str) -> str:
    """The check character of the first seventeen digits of an ID number.

    >>> check_character("11010519491231002")
    'X'
    """
    remainder = sum(int(d) * int(w) for d, w in zip(first, _WEIGHTS, strict=True)) % 11
    return chr(_CHARACTERS[remainder])


def certificate_numbers(id_number: pa.StringArray, kind: Ints, grade: Ints) -> pa.StringArray:
    """Numbers of disability certificates: ID number, kind of disability (1 to 7) and grade (1 to 4)."""
    wide = id_number.cast(pa.binary()).cast(pa.binary(LENGTH))
    held = np.frombuffer(wide.buffers()[1], np.uint8, len(wide) * LENGTH, wide.offset * LENGTH).reshape(-1, LENGTH)
    ends = np.stack([kind, grade], axis=1).astype(np.uint8) + ord("0")
    return _strings(np.concatenate([held, ends], axis=1))


def _strings(characters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """A matrix of ASCII characters as texts, one a row."""
    rows, width = characters.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    flat = np.ascontiguousarray(characters)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(flat))


def mixed(serial: Any, seed: int) -> npt.NDArray[np.uint64]:
    """64 even bits for each serial (SplitMix64), the same wherever and whenever they are asked for."""
    start = np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    x = np.asarray(serial, np.int64).astype(np.uint64) + start
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def names(person: Ints, male: Bools, *, family: Ints, seed: int) -> pa.StringArray:
    """Invented names, surname first: the surname follows from the serial of a family, the rest from the person's."""
    surname = (mixed(family, seed) % np.uint64(len(_SURNAMES))).astype(np.int64)
    bits = mixed(person, seed + 1)
    # One name in five has a single given character.
    single = bits % np.uint64(5) == 0
    middle = (bits >> np.uint64(8)) % np.uint64(len(_GIVEN))
    last = (bits >> np.uint64(24)) % np.uint64(len(_MALE))
    middle_at = np.where(single, len(_GIVEN), middle).astype(np.int64)
    last_at = last.astype(np.int64) + np.where(male, 0, len(_MALE))
    whole = (surname * (len(_GIVEN) + 1) + middle_at) * 2 * len(_MALE) + last_at
    possible = [s + g + x for s in _SURNAMES for g in (*_GIVEN, "") for x in _MALE + _FEMALE]
    return pa.array(possible).take(pa.array(whole))


def place_names(count: int, kind: str, seed: int) -> tuple[str, ...]:
    """Distinct invented names of places of a kind (`村`, `镇`, `乡`), the first ones the same however many follow.

    Raises ValueError beyond some hundreds, more than a county has towns or a town villages.
    """
    possible = list(dict.fromkeys(a + b for a in _PLACES for b in _FEATURES if a != b))
    if count > len(possible):
        raise ValueError(f"{count} names of places; there are {len(possible)}")
    order = np.argsort(mixed(np.arange(len(possible)), seed), kind="stable")
    return tuple(possible[i] + kind for i in order[:count])
