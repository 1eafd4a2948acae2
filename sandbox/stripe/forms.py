"""Stripe's form encoding, `a[b][c]=1`, and a check of the names against the parameters that Stripe's library knows."""

import functools
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from stripe import RequestOptions
from stripe.params._account_create_params import AccountCreateParams
from stripe.params._account_link_create_params import AccountLinkCreateParams
from stripe.params._transfer_create_params import TransferCreateParams
from stripe.params._transfer_create_reversal_params import TransferCreateReversalParams
from stripe.params._transfer_list_params import TransferListParams

from sandbox.stripe.refusal import Refusal

_PART = re.compile(r"\[([^\[\]]*)\]")

PARAMETERS: dict[str, Any] = {
    "accounts.create": AccountCreateParams,
    "account_links.create": AccountLinkCreateParams,
    "transfers.create": TransferCreateParams,
    "transfers.list": TransferListParams,
    "reversals.create": TransferCreateReversalParams,
}


def parsed(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The pairs of a form as nested objects. Raises Refusal for a name that contradicts another."""
    told: dict[str, Any] = {}
    for name, value in pairs:
        first, rest = name.partition("[")[0], _PART.findall(name)
        place = told
        for outer, inner in zip([first, *rest], [*rest, None], strict=True):
            if inner is None:
                place[outer] = value
            else:
                place = place.setdefault(outer, {})
                if not isinstance(place, dict):
                    raise Refusal("Invalid object", "parameter_invalid", param=name)
    return told


def check(call: str, given: Mapping[str, Any]) -> None:
    """Raises Refusal for a parameter that the call does not have, and for one that it must have and is not there."""
    kind = PARAMETERS.get(call)
    if kind is None:
        return
    _check_names(kind, given, "")
    for name in sorted(kind.__required_keys__ - given.keys()):
        raise Refusal(f"Missing required param: {name}.", "parameter_missing", param=name)


def _check_names(kind: Any, given: Mapping[str, Any], within: str) -> None:
    known = _fields(kind)
    for name, value in given.items():
        path = f"{within}[{name}]" if within else name
        if name not in known:
            raise Refusal(f"Received unknown parameter: {path}", "parameter_unknown", param=path)
        inner = known[name]
        if inner is not None and isinstance(value, Mapping):
            _check_names(inner, value, path)


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    """Each parameter, with the kind of object it holds where it holds one."""
    hints = typing.get_type_hints(kind, localns={"StripeContext": object, "Mapping": Mapping})
    return {name: _object(hint) for name, hint in hints.items() if name not in RequestOptions.__annotations__}


def _object(hint: Any) -> Any:
    if isinstance(hint, type) and hasattr(hint, "__required_keys__"):
        return hint
    return next((found for inner in typing.get_args(hint) if (found := _object(inner))), None)


def whole(given: Mapping[str, Any], name: str) -> int:
    """A parameter that is an integer above 0. Raises Refusal."""
    text = str(given.get(name, ""))
    if not text.isdecimal() or int(text) < 1:
        raise Refusal(
            f"This value must be greater than or equal to 1: {name}.", "parameter_invalid_integer", param=name
        )
    return int(text)
