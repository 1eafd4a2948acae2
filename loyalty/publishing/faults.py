"""What is wrong with a program, in words a merchant understands, each with the field it is about.

Pure: a document goes in, a program or its faults come out.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import InvalidInput
from core.i18n import N_, _, number
from loyalty.program import Program
from loyalty.program.parts import Contradiction, reads_on
from loyalty.publishing.names import named
from loyalty.publishing.schema import fields_at

SEPARATOR = " › "
# No merchant reads on beyond these.
MOST = 50
# What parts are called by, first choice first.
_NAMES = ("key", "name", "tier", "language", "label")

Path = tuple[str | int, ...]
Fields = Callable[[Path], list[str]]
# What a merchant calls the field of a document at a path by keys.
Names = Callable[[Any, tuple[str, ...]], str]
Told = tuple[str, Mapping[str, Any]]


class Fault(NamedTuple):
    """What is wrong with a field, or worth knowing of it.

    `path` leads to it by the keys of parts (`("rewards", "10-off", "cost")`); a fault of the whole document has none.
    `message` is a sentence about `%(field)s`, marked for translation, with its other places in `values`; `name` is
    what the reader calls the field.
    """

    path: tuple[str, ...]
    message: str
    values: Mapping[str, Any]
    name: str
    whole: str = "the program"

    @property
    def field(self) -> str:
        """The path as it stands in answers: "rewards › 10-off › cost"."""
        return SEPARATOR.join(self.path) or self.whole

    @property
    def reason(self) -> str:
        """What answers in English say after naming the field: "must be at least 1"."""
        return reads_on(self.message, self.values)

    @property
    def sentence(self) -> str:
        """All of it in a sentence, in the language spoken now: "The cost of $10 off must be at least 1."."""
        said = {key: number(value) if _counts(value) else value for key, value in self.values.items()}
        text = _(self.message, **said, field=self.name)
        return text[:1].upper() + text[1:]


class Teller:
    """Says faults of one document, which knows the names of its parts."""

    def __init__(self, document: Any, names: Names = named, whole: str = "the program") -> None:
        self.document, self.names, self.whole = document, names, whole

    def __call__(self, path: tuple[str, ...], message: str, /, **values: Any) -> Fault:
        return Fault(path, message, values, self.names(self.document, path), self.whole)


def _counts(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


class InvalidProgram(InvalidInput):
    """Carries the faults, for pages that tell them in their own words."""

    code = "invalid_program"

    def __init__(self, found: Sequence[Fault]) -> None:
        told = [{"field": fault.field, "message": fault.reason} for fault in found]
        super().__init__(f"{found[0].field} {found[0].reason}", errors=told)
        self.faults = tuple(found)


def read(document: Any) -> Program:
    """The program that a document (JSON) describes. Raises InvalidProgram with every fault in `errors`."""
    found = faults(document)
    if found:
        raise InvalidProgram(found)
    return Program.model_validate(document)


def faults(document: Any) -> tuple[Fault, ...]:
    """Everything wrong with a document (JSON), in the document's order; empty when it is a program."""
    return faults_in(Program, document, fields_at, named)


def faults_in(model: type[BaseModel], document: Any, fields: Fields, names: Names) -> tuple[Fault, ...]:
    """The same for any kind of document. `fields` tells which ones the part at a path may have, `names` what a
    merchant calls them."""
    try:
        model.model_validate(document)
    except ValidationError as error:
        told = [_fault(detail, document, fields, names) for detail in error.errors(include_url=False)[:MOST]]
        return tuple({(fault.field, fault.reason): fault for fault in told}.values())
    return ()


def _fault(error: ErrorDetails, document: Any, fields: Fields, names: Names) -> Fault:
    context: Mapping[str, Any] = error.get("ctx") or {}
    path, cause = error["loc"], context.get("error")
    if isinstance(cause, Contradiction):
        path = (*path, *cause.path)
    elif error["type"].startswith("union_tag"):
        path = (*path, "kind")
    at = place(document, path)
    return Fault(at, *_told(error, context, fields), names(document, at))


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


_WHOLE = N_("%(field)s must be a whole number.")
_NUMBER = N_("%(field)s must be a number, such as 1.25.")
_DATE = N_("%(field)s must be a date, such as 2026-11-27T09:00.")
_GROUP = N_("%(field)s must be a group of fields in braces.")
_LIST = N_("%(field)s must be a list.")
_MISSING = N_("%(field)s is missing.")
_YES_OR_NO = N_("%(field)s must be true or false.")
_MESSAGES = {
    "missing": _MISSING,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": N_("%(field)s is too large a number."),
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "string_type": N_("%(field)s must be text."),
    "string_too_short": N_("%(field)s must not be empty."),
    "tuple_type": _LIST,
    "frozen_set_type": _LIST,
    "datetime_parsing": _DATE,
    "datetime_from_date_parsing": _DATE,
    "datetime_type": _DATE,
    "model_type": _GROUP,
    "model_attributes_type": _GROUP,
    "union_tag_not_found": _MISSING,
    "greater_than_equal": N_("%(field)s must be at least %(ge)s."),
    "greater_than": N_("%(field)s must be more than %(gt)s."),
    "less_than_equal": N_("%(field)s must be at most %(le)s."),
    "less_than": N_("%(field)s must be less than %(lt)s."),
    "decimal_max_places": N_("%(field)s must have at most %(decimal_places)s decimals."),
    "decimal_max_digits": N_("%(field)s must have at most %(max_digits)s digits."),
    "decimal_whole_digits": N_("%(field)s must have at most %(whole_digits)s digits before the point."),
    "string_too_long": N_("%(field)s must have at most %(max_length)s characters."),
    "too_short": N_("%(field)s must have at least %(min_length)s."),
    "too_long": N_("%(field)s must have at most %(max_length)s."),
    "literal_error": N_("%(field)s must be %(expected)s."),
    "union_tag_invalid": N_("%(field)s must be one of %(expected_tags)s."),
}
_PATTERNS = {
    "^[a-z0-9]": N_("%(field)s must be of small letters, digits and hyphens, at most 40, such as double-points."),
    "^https://": N_("%(field)s must be a web address that starts with https://."),
}
_STRANGE = N_("%(field)s is no field here.")
_MEANT = N_("%(field)s is no field here: did you mean %(meant)s?")
_UNREADABLE = N_("%(field)s can't be read.")


def _told(error: ErrorDetails, context: Mapping[str, Any], fields: Fields) -> Told:
    """What to say of a fault that pydantic found, and its values."""
    kind, cause = error["type"], context.get("error")
    if isinstance(cause, Contradiction):
        return cause.message, cause.values
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(error["loc"][-1]), fields(error["loc"][:-1]), n=1)
        return (_MEANT, {"meant": close[0]}) if close else (_STRANGE, {})
    if kind == "string_pattern_mismatch":
        return next(words for start, words in _PATTERNS.items() if context["pattern"].startswith(start)), {}
    return _MESSAGES.get(kind, _UNREADABLE), {name: value for name, value in context.items() if name != "error"}
