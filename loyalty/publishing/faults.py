"""What is wrong with a program, in words a merchant understands, each with the field it is about.

Pure: a document goes in, a program or its faults come out.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import InvalidInput
from loyalty.program import Program
from loyalty.program.parts import Contradiction
from loyalty.publishing.schema import fields_at

SEPARATOR = " › "
# No merchant reads on beyond these.
MOST = 50
# What parts are called by, first choice first.
_NAMES = ("key", "name", "tier", "language", "label")

Path = tuple[str | int, ...]
Fields = Callable[[Path], list[str]]


class Fault(NamedTuple):
    """What is wrong with a field, or worth knowing of it.

    `path` leads to it by the keys of parts (`("rewards", "10-off", "cost")`), `reason` reads on from it ("must be …").
    A fault of the document as a whole has no path.
    """

    path: tuple[str, ...]
    reason: str
    whole: str = "the program"

    @property
    def field(self) -> str:
        """The path as it stands in answers: "rewards › 10-off › cost"."""
        return SEPARATOR.join(self.path) or self.whole

    @property
    def sentence(self) -> str:
        """All of it in a sentence, for people."""
        return f"{self.field} {self.reason}."


class InvalidProgram(InvalidInput):
    code = "invalid_program"


def read(document: Any) -> Program:
    """The program that a document (JSON) describes. Raises InvalidProgram with every fault in `errors`."""
    found = faults(document)
    if found:
        told = [{"field": fault.field, "message": fault.reason} for fault in found]
        raise InvalidProgram(f"{found[0].field} {found[0].reason}", errors=told)
    return Program.model_validate(document)


def faults(document: Any) -> tuple[Fault, ...]:
    """Everything wrong with a document (JSON), in the document's order; empty when it is a program."""
    return faults_in(Program, document, fields_at)


def faults_in(model: type[BaseModel], document: Any, fields: Fields) -> tuple[Fault, ...]:
    """The same for any kind of document. `fields` tells which ones the part at a path may have."""
    try:
        model.model_validate(document)
    except ValidationError as error:
        told = (_fault(detail, document, fields) for detail in error.errors(include_url=False)[:MOST])
        return tuple(dict.fromkeys(told))
    return ()


def _fault(error: ErrorDetails, document: Any, fields: Fields) -> Fault:
    context: Mapping[str, Any] = error.get("ctx") or {}
    path, cause = error["loc"], context.get("error")
    if isinstance(cause, Contradiction):
        path = (*path, *cause.path)
    elif error["type"].startswith("union_tag"):
        path = (*path, "kind")
    return Fault(place(document, path), _reason(error, context, fields))


def place(document: Any, path: Path) -> tuple[str, ...]:
    """A path into a document as people read it: parts by their keys and names, not by their positions."""
    return tuple(_names(document, path))


def _names(document: Any, path: Path) -> Iterator[str]:
    for place, (last, step) in enumerate(pairwise(("", *path)), start=1):
        if isinstance(step, int):
            document = document[step] if isinstance(document, Sequence) and step < len(document) else None
            yield _called(document, step)
        elif isinstance(document, Mapping) and isinstance(last, int) and _is_kind(document, path[place - 1 :]):
            continue  # pydantic's step into the model of this kind: only parts of a list are of several models
        else:
            document = document.get(step) if isinstance(document, Mapping) else None
            yield str(step)


def _is_kind(part: Mapping[str, Any], path: Path) -> bool:
    """A question has a field of its kind's name, too: but nothing leads on from a field's text."""
    return path[0] == part.get("kind") and len(path) > 1 and not isinstance(part.get(str(path[0])), Mapping | list)


def _called(part: Any, position: int) -> str:
    named = [part.get(name) for name in _NAMES] if isinstance(part, Mapping) else []
    return next((name for name in named if isinstance(name, str) and name), f"no. {position + 1}")


_PLAIN = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number, such as 1.25",
    "decimal_type": "must be a number, such as 1.25",
    "decimal_parsing": "must be a number, such as 1.25",
    "finite_number": "must be a number, such as 1.25",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "datetime_parsing": "must be a date, such as 2026-11-27T09:00",
    "datetime_from_date_parsing": "must be a date, such as 2026-11-27T09:00",
    "datetime_type": "must be a date, such as 2026-11-27T09:00",
    "model_type": "must be a group of fields in braces",
    "model_attributes_type": "must be a group of fields in braces",
    "union_tag_not_found": "is missing",
}
_FILLED = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "decimal_max_places": "must have at most {decimal_places} decimals",
    "decimal_max_digits": "must have at most {max_digits} digits",
    "decimal_whole_digits": "must have at most {whole_digits} digits before the point",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
_PATTERNS = {
    "^[a-z0-9]": "must be of small letters, digits and hyphens, at most 40, such as double-points",
    "^https://": "must be a web address that starts with https://",
}


def _reason(error: ErrorDetails, context: Mapping[str, Any], fields: Fields) -> str:
    kind = error["type"]
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _FILLED:
        return _FILLED[kind].format_map(context)
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "extra_forbidden":
        return "is no field here" + _meant(error["loc"], fields)
    if kind == "union_tag_invalid":
        return f"must be one of {context['expected_tags']}"
    if kind == "string_pattern_mismatch":
        return next(words for start, words in _PATTERNS.items() if context["pattern"].startswith(start))
    return error["msg"]


def _meant(path: Path, fields: Fields) -> str:
    """The field that was probably meant by a misspelt one."""
    close = difflib.get_close_matches(str(path[-1]), fields(path[:-1]), n=1)
    return f": did you mean {close[0]}?" if close else ""
