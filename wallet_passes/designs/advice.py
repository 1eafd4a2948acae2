"""What a merchant should know of a valid design before publishing it. None of it refuses. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from core.i18n import N_
from loyalty.publishing.faults import Fault
from wallet_passes.content import shortened
from wallet_passes.design import ANY_TEXT, contrast, default_colour, parsed, written
from wallet_passes.designs import dressing, images
from wallet_passes.designs.document import CardDesign, Colours, Path
from wallet_passes.designs.names import named

# Hardly a card comes with more on the lock screen.
_LOCK_SCREEN = 60
# A logo that is so many times as wide as high shrinks in a square.
_WIDE = 2


class Measures(NamedTuple):
    """A picture's sides in pixels."""

    width: int
    height: int


def advice(document: CardDesign, pictures: Mapping[str, Measures], tiers: Mapping[str, str]) -> tuple[Fault, ...]:
    """Warnings about a design. `pictures` are the shop's by their digests, `tiers` the names of tiers by their keys."""
    found = [
        *_colours(document, tiers),
        *_cut(document),
        *_drawn(document),
        *_small(document, pictures),
        *_coarse(document, pictures, tiers),
    ]
    return (*found, *_untranslated(document))


def _place(path: Path, document: CardDesign, tiers: Mapping[str, str]) -> tuple[str, ...]:
    """A path as people read it: looks by their tiers' names."""
    if path[:1] != ("looks",):
        return tuple(map(str, path))
    tier = document.looks[int(path[1])].tier
    return ("looks", tiers.get(tier, tier), *map(str, path[2:]))


def _colours(document: CardDesign, tiers: Mapping[str, str]) -> Iterator[Fault]:
    held: list[tuple[Path, Colours]] = [((), document.colours)]
    held += [(("looks", position), look.colours) for position, look in enumerate(document.looks)]
    for path, said in held:
        back, *shown = dressing.colours(said, default_colour(""))
        for name, colour in zip(("foreground", "label"), shown, strict=True):
            asked = getattr(said, name)
            if asked and contrast(parsed(asked), back) < ANY_TEXT:
                message = N_("%(field)s is hard to read on %(back)s: cards show %(colour)s in its place.")
                at = _place((*path, "colours", name), document, tiers)
                yield _told(at, message, back=written(back), colour=written(colour))


def _cut(document: CardDesign) -> Iterator[Fault]:
    """What is too long for its place, and what is left of it."""
    held: list[tuple[tuple[str, ...], str | None, int]] = [
        (("name",), document.name, dressing.TITLE),
        (("logo_text",), document.logo_text, dressing.LOGO_TEXT),
        *((("looks", look.tier, "logo_text"), look.logo_text, dressing.LOGO_TEXT) for look in document.looks),
        *((("locations", f"no. {number}"), one.text, _LOCK_SCREEN) for number, one in enumerate(document.locations, 1)),
    ]
    for path, text, most in held:
        if text and shortened(text, most) != shortened(text, len(text) + 1):
            message = N_("%(field)s is longer than the %(most)s characters that fit: cards show “%(shown)s”.")
            yield _told(path, message, most=most, shown=shortened(text, most))


def _drawn(document: CardDesign) -> Iterator[Fault]:
    if document.images.logo is None:
        yield _told(("images", "logo"), N_("%(field)s is missing: the shop's initial is drawn in its place."))
    if document.images.strip is None and document.images.hero is None:
        message = N_("%(field)s is missing: a quiet pattern in the card's colour is drawn in its place.")
        yield _told(("images", "strip"), message)


def _small(document: CardDesign, pictures: Mapping[str, Measures]) -> Iterator[Fault]:
    logo = pictures.get(document.images.logo or "")
    if logo and document.images.icon is None and logo.width > _WIDE * logo.height:
        message = N_(
            "%(field)s is missing: the logo is wide and gets small in notifications and on Google's cards; "
            "a square is best."
        )
        yield _told(("images", "icon"), message)


def _coarse(document: CardDesign, pictures: Mapping[str, Measures], tiers: Mapping[str, str]) -> Iterator[Fault]:
    """Pictures that have to be enlarged, and look soft for it."""
    wanted = {
        "logo": (0, images.LOGO[1] * 3),
        "icon": (images.ICON[0] * 3, images.ICON[1] * 3),
        "strip": (images.STRIP[0] * 3, images.STRIP[1] * 3),
        "hero": images.GOOGLE_HERO,
    }
    for path, digest in document.pictures():
        found, (width, height) = pictures.get(digest), wanted[str(path[-1])]
        if found and (found.width < width or found.height < height):
            message = N_("%(field)s has %(has)s pixels and will look soft: at least %(height)s pixels high is best.")
            if width:
                message = N_("%(field)s has %(has)s pixels and will look soft: at least %(least)s pixels is best.")
            sizes = {"has": f"{found.width} × {found.height}", "least": f"{width} × {height}", "height": height}
            yield _told(_place(path, document, tiers), message, **sizes)


def _untranslated(document: CardDesign) -> Iterator[Fault]:
    """Texts that a language lacks, and translations of texts that are there no more."""
    own = document.own_texts()
    for one in document.translations:
        path = ("translations", one.language)
        lacking = [text for text in own if text not in one.texts]
        if lacking:
            message = N_("%(field)s lacks %(lacking)s of %(all)s texts, such as “%(text)s”.")
            yield _told(path, message, lacking=len(lacking), all=len(own), text=shortened(lacking[0], 40))
        for text in one.texts:
            if text not in own:
                message = N_("%(field)s translates “%(text)s”, which the design does not say.")
                yield _told(path, message, text=shortened(text, 40))


def _told(path: tuple[str, ...], message: str, **values: Any) -> Fault:
    return Fault(path, message, values, named({}, path))
