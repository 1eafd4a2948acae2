"""What is wrong with a design, in words a merchant understands, each with the field it is about.

Pure: a document goes in, a design or its faults come out.
"""

import functools
from collections.abc import Collection, Sequence
from typing import Any

from core.errors import InvalidInput
from core.i18n import N_
from loyalty.publishing.faults import Fault, faults_in, place
from loyalty.publishing.schema import DIALECT, Json, fields_in
from wallet_passes.designs.document import CardDesign, Path
from wallet_passes.designs.names import named


class InvalidDesign(InvalidInput):
    """Carries the faults, for pages that tell them in their own words."""

    code = "invalid_design"

    def __init__(self, found: Sequence[Fault]) -> None:
        told = [{"field": fault.field, "message": fault.reason} for fault in found]
        super().__init__(f"{found[0].field} {found[0].reason}", errors=told)
        self.faults = tuple(found)


@functools.cache
def schema() -> Json:
    """The JSON Schema (draft 2020-12) of a design, as JSON."""
    return {"$schema": DIALECT} | CardDesign.model_json_schema() | {"title": "Rapport card design"}


def faults(document: Any, tiers: Collection[str], pictures: Collection[str]) -> tuple[Fault, ...]:
    """Everything wrong with a document (JSON) in a shop with these tiers (keys) and pictures (digests)."""
    found = faults_in(CardDesign, document, lambda path: fields_in(schema(), path), named)
    if found:
        return tuple(fault._replace(whole="the design") for fault in found)
    design = CardDesign.model_validate(document)
    return (*_strange_tiers(design, document, tiers), *_missing_pictures(design, document, pictures))


def read(document: Any, tiers: Collection[str], pictures: Collection[str]) -> CardDesign:
    """The design that a document describes. Raises InvalidDesign with every fault in `errors`."""
    found = faults(document, tiers, pictures)
    if found:
        raise InvalidDesign(found)
    return CardDesign.model_validate(document)


def _strange_tiers(design: CardDesign, document: Any, tiers: Collection[str]) -> list[Fault]:
    message = N_("%(field)s must be a tier of the program, which has no '%(key)s'.")
    return [
        _fault(document, ("looks", position, "tier"), message, key=look.tier)
        for position, look in enumerate(design.looks)
        if look.tier not in tiers
    ]


def _missing_pictures(design: CardDesign, document: Any, pictures: Collection[str]) -> list[Fault]:
    message = N_("%(field)s is no picture of this shop: upload it first.")
    return [_fault(document, path, message) for path, digest in design.pictures() if digest not in pictures]


def _fault(document: Any, path: Path, message: str, **values: Any) -> Fault:
    at = place(document, path)
    return Fault(at, message, values, named(document, at))
