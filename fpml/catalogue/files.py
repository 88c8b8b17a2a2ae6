"""A policy file -> validated types, or every fault of the file with its place and a remedy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from fpml.errors import Fault, InputError, PolicyError, did_you_mean

Place = tuple[str | int, ...]


# The parser in C where PyYAML has it: ten times faster, and the same.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """SafeLoader that leaves numbers as text, so that a threshold stays exactly what was written."""


def parse(path: Path, shape: Any) -> Any:
    """The file as `shape` (a type or typing form); raises PolicyError with all of its faults."""
    if not path.is_file():
        raise InputError(path.name, "no such policy file", f"Write it, or copy the default profile's {path.name}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                # A few nested aliases can stand for more text than any memory holds.
                at = event.start_mark.line + 1 if event.start_mark else 1
                raise PolicyError([Fault(f"{path.name}:{at}", "a YAML alias", "Write the value out.")])
        node = yaml.compose(text, Loader=_Loader)
    except UnicodeDecodeError as e:
        raise PolicyError([Fault(path.name, f"not UTF-8 (byte {e.start})", "Save it as UTF-8.")]) from None
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise PolicyError([Fault(f"{path.name}{line}", _yaml_problem(e), "Mind the indentation and quotes.")]) from None
    lines: dict[Place, int] = {}
    faults = list(_walk(node, (), lines, path.name)) if node else []
    if not faults:
        try:
            loaded = _Loader("").construct_document(node) if node else None
        except (yaml.YAMLError, ValueError, TypeError) as e:
            fault = Fault(path.name, f"a value that cannot be read ({e.__class__.__name__})", "Mind dates and tags.")
            raise PolicyError([fault]) from None
        try:
            return TypeAdapter(shape).validate_python(loaded)
        except ValidationError as e:
            faults = [_fault(path.name, error, lines) for error in e.errors(include_url=False)]
    raise PolicyError(dict.fromkeys(faults))


def _yaml_problem(e: yaml.YAMLError) -> str:
    return f"not YAML ({getattr(e, 'problem', None) or 'cannot be parsed'})"


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], file: str) -> Iterator[Fault]:
    """Notes the line of every place, and yields a fault for every key that stands twice (YAML would drop the first)."""
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                yield Fault(f"{file}:{key.start_mark.line + 1}", "a key that is no word", "Write a single word.")
                continue
            if key.value in seen:
                where = f"{file}:{key.start_mark.line + 1} @ {_dotted((*place, key.value))}"
                yield Fault(where, "the key stands twice", "Keep one of the two.")
            seen.add(key.value)
            yield from _walk(value, (*place, key.value), lines, file)
            lines[(*place, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _walk(value, (*place, i), lines, file)


def _dotted(place: Place) -> str:
    return ".".join(map(str, place)) or "the file"


def _fault(file: str, error: Any, lines: dict[Place, int]) -> Fault:
    # Pydantic also names the form that it took a value for: what the file does not have is left out.
    place: Place = ()
    for part in error["loc"]:
        place = next((k for k in ((*place, part), (*place, str(part))) if k in lines), place)
    line = lines.get(place, 1)
    where = f"{file}:{line} @ {_dotted((*place, error['loc'][-1]) if error['type'] == 'missing' else place)}"
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return Fault(where, f"unknown key `{error['loc'][-1]}`", "Take it out, or mend its spelling.")
    if kind == "missing":
        return Fault(where, "missing", f"Add `{error['loc'][-1]}:`.")
    if kind == "literal_error":
        expected = [w.strip(" '") for w in error["ctx"]["expected"].replace(" or ", ",").split(",")]
        return Fault(where, f"{given!r} is not one of the known words", did_you_mean(str(given), expected))
    if kind == "value_error":
        problem, _, remedy = str(error["ctx"]["error"]).partition("; ")
        return Fault(where, problem, f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "Correct it.")
    shown = f" ({given!r})" if isinstance(given, str | int | float | bool) else ""
    return Fault(where, f"{error['msg'][:1].lower()}{error['msg'][1:]}{shown}", "Correct the value.")


def _as_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


# Types are decided by what a place asks for, not by how a word looks: `yes` is no number, 10:30 is not 630,
# and a day that no calendar has is told with its place.
for _tag in ("float", "int", "bool", "timestamp"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _as_text)
