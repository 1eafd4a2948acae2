"""Ways to earn beside buying, as one member finds them: what is to be done, what comes by itself, what is done."""

from typing import NamedTuple

from core import clock, i18n
from core.i18n import _
from loyalty.activities import queries
from loyalty.activities.queries import Way
from loyalty.program import Activity
from loyalty.program.earning import Nps, Question, Review, Social
from web.portal.visits import Visit

# What each kind is done with on the page: a form, a link out, or nothing, because it comes round or is told by others.
_FORMS = {
    "birthday": "birthday",
    "question": "question",
    "newsletter": "consent",
    "sms": "consent",
    "social": "out",
    "community": "out",
    "nps": "nps",
}


class Card(NamedTuple):
    """A way to earn. `form` says what to draw, empty for words alone; `text` is what to know or when it comes."""

    rule: Activity
    title: str
    text: str
    points: int
    form: str
    url: str = ""
    answer: str = ""


class Earning(NamedTuple):
    """`todo` can be done now, `later` comes by itself or can be done again, `done` folds away."""

    todo: list[Card]
    later: list[Card]
    done: list[Card]


def earning(visit: Visit) -> Earning:
    """The ways of the program in force, sorted for one member."""
    member = visit.signed_in()
    if not visit.program.activities:
        return Earning([], [], [])
    found = queries.ways(visit.session, member, visit.version, clock.now())
    answers = {}
    if any(way.rule.kind == "question" and way.done for way in found):
        answers = queries.answers(visit.session, visit.shop.id, member.id)
    sorted_: dict[str, list[Card]] = {"todo": [], "later": [], "done": []}
    for way in found:
        if place := _place(way):
            sorted_[place].append(_card(way, place, answers.get(way.rule.key, "")))
    return Earning(**sorted_)


def _place(way: Way) -> str | None:
    if way.status in ("done", "limit_reached"):
        return "done"
    if way.status in ("open", "no_birthday"):
        return "todo" if way.rule.kind in _FORMS or way.rule.kind in ("review", "custom") else "later"
    return "later" if way.status == "waiting" else None


def _card(way: Way, place: str, answer: str) -> Card:
    rule = way.rule
    form = _FORMS.get(rule.kind, "") if place == "todo" else ""
    points = way.points or rule.points
    return Card(rule, _title(rule), _text(way), points, form, getattr(rule, "url", None) or "", answer)


def _title(rule: Activity) -> str:
    return rule.question if isinstance(rule, Question) else rule.name


def _text(way: Way) -> str:
    if way.status == "waiting" and way.next_on:
        return _("Comes on %(day)s.", day=i18n.day(way.next_on)) if way.rule.kind != "nps" else _again(way)
    if way.status == "limit_reached":
        return _again(way) if way.next_on else _("You've earned all there is here.")
    return _todo(way.rule)


def _again(way: Way) -> str:
    assert way.next_on is not None
    return _("Again from %(day)s.", day=i18n.day(way.next_on))


def _todo(rule: Activity) -> str:
    if isinstance(rule, Review) and rule.photo_points:
        return _("Once for each product, and %(points)s more with a photo.", points=i18n.points(rule.photo_points))
    if isinstance(rule, Review):
        return _("Once for each product you've bought.")
    if rule.kind == "birthday":
        return _("Tell us the day, and your points come every year.")
    if isinstance(rule, Social | Nps | Question):
        return ""
    return getattr(rule, "description", "")
