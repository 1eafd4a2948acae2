"""What the rewards pages say of a program: rates, perks, conditions, errors. In the language spoken now."""

import functools

from babel.numbers import format_currency

from core import i18n
from core.i18n import N_, _
from core.money import minor_digits, to_units
from loyalty.program import Program, Reward, Tier
from shops.models import Shop
from tiers.queries import Standing
from tiers.wording import amount_text

_PERKS = {"free-shipping": N_("Free shipping"), "early-access": N_("Early access to new things")}

# By an error's code: a title, and what to do.
_SORRY = {
    "bad_signature": (
        N_("Open this page in the shop"),
        N_("It only works from the shop's own address."),
    ),
    "no_shop": (
        N_("This shop isn't here"),
        N_("The link may be cut off, or the shop has left."),
    ),
    "no_program": (N_("Nothing here yet"), N_("This shop has no rewards program at the moment. Come back soon.")),
    "link_broken": (
        N_("This link isn't complete"),
        N_("It may have been cut off. Copy all of it and try again."),
    ),
    "link_expired": (N_("This link has ended"), N_("A link to this page works for 30 days. Ask for a new one below.")),
    "no_member": (N_("Please sign in"), N_("This is about your own points, so we need to know who you are.")),
    "stale_form": (
        N_("That page was open for a while"),
        N_("Nothing was changed. Load it again and have another go."),
    ),
    "away": (N_("We couldn't reach the shop just now"), N_("Your points are safe. Try again in a minute.")),
    "unexpected": (N_("Something went wrong on our side"), N_("Your points are safe. Try again in a minute.")),
    "not_found": (N_("There is no such page"), N_("It may have moved. Your rewards are where they always are.")),
    "method_not_allowed": (
        N_("There is no such page"),
        N_("It may have moved. Your rewards are where they always are."),
    ),
}


def sorry() -> dict[str, tuple[str, str]]:
    """Titles and sentences of refusals, by code."""
    return {code: (_(title), _(text)) for code, (title, text) in _SORRY.items()}


def price(minor: int, currency: str) -> str:
    """An amount without decimals where there are none: "$5", "$12.50"."""
    return _price(minor, currency, i18n.language())


@functools.lru_cache(maxsize=4096)
def _price(minor: int, currency: str, _code: str) -> str:
    if minor % 10 ** minor_digits(currency):
        return i18n.money(minor, currency)
    pattern = i18n.locale().currency_formats["standard"].pattern.replace(".00", "")
    return format_currency(to_units(minor, currency), currency, pattern, i18n.locale(), currency_digits=False)


def rate(program: Program, shop: Shop) -> str:
    """What orders earn: "1 point for every $1"."""
    each, unit = program.rate, price(10 ** minor_digits(shop.currency), shop.currency)
    if each.denominator == 1:
        return _("%(points)s for every %(amount)s", points=i18n.points(int(each)), amount=unit)
    number = i18n.number(program.orders.points_per_unit.normalize())
    return _("%(number)s points for every %(amount)s", number=number, amount=unit)


def perks(tier: Tier, program: Program, shop: Shop) -> list[str]:
    """What a tier brings, the points first."""
    said = [rate(program, shop)] if tier.multiplier == 1 else [_times(tier)]
    if tier.entry_gift:
        said.append(_("%(points)s when you get here", points=i18n.points(tier.entry_gift)))
    if tier.birthday_boost > 1 and any(rule.kind == "birthday" for rule in program.activities):
        said.append(_("%(times)s × the birthday points", times=i18n.number(tier.birthday_boost.normalize())))
    return said + [perk(key) for key in tier.perks]


def _times(tier: Tier) -> str:
    return _("%(times)s × the points on every order", times=i18n.number(tier.multiplier.normalize()))


def perk(key: str) -> str:
    """A perk's name; one that we don't know is called as its key says."""
    return _(_PERKS[key]) if key in _PERKS else key.replace("-", " ").capitalize()


def takes(tier: Tier, program: Program, shop: Shop) -> str:
    """What it takes to get to a tier: "From $500 in 365 days"."""
    ladder = program.ladder
    if tier.threshold == 0:
        return _("From the start")
    amount = metric_text(tier.threshold, ladder.metric, shop)
    if ladder.period == "rolling":
        return i18n.ngettext(
            "From %(amount)s in %(num)s day", "From %(amount)s in %(num)s days", ladder.window_days, amount=amount
        )
    if ladder.period == "lifetime":
        return _("From %(amount)s in all", amount=amount)
    return _("From %(amount)s in a year", amount=amount)


def metric_text(value: int, metric: str, shop: Shop) -> str:
    """What counts on a ladder: "$500", "1,200 points", "3 orders"."""
    return price(value, shop.currency) if metric == "eligible_spend" else amount_text(value, metric, shop.currency)


def standing(held: Standing, program: Program, shop: Shop) -> list[str]:
    """How far the next tier is, and until when this one holds."""
    said = []
    if held.next:
        far = metric_text(held.next.remaining, held.metric, shop)
        said.append(_("You're %(amount)s away from %(tier)s.", amount=far, tier=held.next.name))
    else:
        said.append(_("You've reached the top. Thank you for being with us."))
    if held.until:
        day = i18n.day(held.until, program.zone)
        if held.by_hand or not held.missing:
            said.append(_("%(tier)s is yours until %(day)s.", tier=held.name, day=day))
        else:
            more = metric_text(held.missing, held.metric, shop)
            said.append(_("%(amount)s more by %(day)s keeps you %(tier)s.", amount=more, day=day, tier=held.name))
    return said


def conditions(reward: Reward, shop: Shop, left: int | None) -> list[str]:
    """What there is to know before points are spent."""
    said = []
    if reward.minimum_order:
        said.append(_("For orders of %(amount)s or more", amount=price(reward.minimum_order, shop.currency)))
    if reward.valid_days:
        said.append(i18n.ngettext("Use it within %(num)s day", "Use it within %(num)s days", reward.valid_days))
    if reward.channel == "pos":
        said.append(_("In our stores"))
    if left is not None and left <= 20:
        said.append(i18n.ngettext("%(num)s left", "%(num)s left", left))
    return said


def initial(name: str | None) -> str:
    """Somebody's first name, to greet them by; empty for nobody's."""
    return next(iter((name or "").split()), "")
