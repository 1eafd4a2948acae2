"""What merchants call the fields of a card design: "The background of Advocate". Pure."""

from typing import Any

from core.i18n import N_, _

_FIELDS = {
    "name": N_("The name on the card"),
    "logo_text": N_("The text beside the logo"),
    "background": N_("The background"),
    "foreground": N_("The colour of values"),
    "label": N_("The label"),
    "logo": N_("The logo"),
    "icon": N_("The icon"),
    "strip": N_("The strip"),
    "hero": N_("The wide picture"),
    "welcome": N_("The line for members"),
    "terms": N_("The small print"),
    "text": N_("The text"),
    "texts": N_("The list of texts"),
    "url": N_("The web address"),
    "links": N_("The list of links"),
    "locations": N_("The list of stores"),
    "latitude": N_("The latitude"),
    "longitude": N_("The longitude"),
    "max_distance": N_("The distance to a store"),
    "hidden": N_("The list of hidden fields"),
    "looks": N_("The list of looks"),
    "tier": N_("The tier"),
    "translations": N_("The list of translations"),
    "language": N_("The language"),
}
_LISTS = frozenset({"texts", "links", "locations", "hidden", "looks", "translations"})


def named(_document: Any, path: tuple[str, ...]) -> str:
    """What a merchant calls the field at a path by keys and names."""
    if not path:
        return _("The card")
    if path[-2:] == ("colours", "label"):
        return _("The colour of labels")
    within = path[0] in _LISTS and len(path) > 1
    if within and len(path) == 2:
        return path[1]
    label = _(_FIELDS[path[-1]]) if path[-1] in _FIELDS else f"“{path[-1]}”"
    return _("%(label)s of %(part)s", label=label, part=path[1]) if within else label
