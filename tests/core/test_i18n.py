"""Languages: which one is spoken, that every catalog is whole, and numbers, money and days by locale."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel.messages import Catalog
from flask import Blueprint, Flask, render_template_string, request

from core import catalogs, clock, i18n

# A face joins once its words are translated.
COMPLETE = i18n.DOMAINS
PLACES = re.compile(r"%\((\w+)\)s")


@pytest.fixture(scope="module")
def found() -> dict[str, Catalog]:
    return catalogs.found()


def ids(catalog: Catalog) -> set[tuple[str | None, object]]:
    return {(message.context, message.id) for message in catalog if message.id}


@pytest.mark.parametrize("domain", COMPLETE)
@pytest.mark.parametrize("code", catalogs.TRANSLATED)
def test_a_catalog_has_every_message_of_the_code_and_no_other(
    found: dict[str, Catalog], code: str, domain: str
) -> None:
    """`make words` brings them together."""
    catalog = catalogs.read(code, domain)
    assert ids(catalog) == ids(found[domain])
    assert [message.id for message in catalog if message.fuzzy] == []
    assert [message.id for message in catalog if message.id and not catalogs.has_words(message.string)] == []


@pytest.mark.parametrize("domain", i18n.DOMAINS)
@pytest.mark.parametrize("code", catalogs.TRANSLATED)
def test_translations_fill_in_the_same_places(code: str, domain: str) -> None:
    """A plural form may leave the number out, as "one friend" does; its last must say it."""
    for message in catalogs.read(code, domain):
        if not message.id or not catalogs.has_words(message.string):
            continue
        if isinstance(message.id, str):
            assert sorted(PLACES.findall(message.string)) == sorted(PLACES.findall(message.id)), message.id
            continue
        wanted = set(PLACES.findall(message.id[1]))
        assert set(PLACES.findall(message.string[-1])) == wanted, message.id
        assert all(set(PLACES.findall(form)) >= wanted - {"num"} for form in message.string), message.id


def test_catalogs_are_stored_in_their_one_form(found: dict[str, Catalog], tmp_path, monkeypatch) -> None:
    before = {
        (code, domain): catalogs.path(code, domain).read_text() for code in catalogs.TRANSLATED for domain in COMPLETE
    }
    monkeypatch.setattr(catalogs, "path", lambda code, domain: tmp_path / f"{code}-{domain}.po")
    for (code, domain), text in before.items():
        catalogs.path(code, domain).write_text(text)
        catalogs.write(code, domain, catalogs.updated(code, domain, found[domain]))
        assert catalogs.path(code, domain).read_text() == text


@pytest.mark.parametrize(
    ("count", "form"),
    [
        (0, "0 نقطة"),
        (1, "نقطة واحدة"),
        (2, "نقطتان"),
        (3, "3 نقاط"),
        (110, "110 نقاط"),
        (11, "11 نقطة"),
        (100, "100 نقطة"),
    ],
)
def test_arabic_has_six_plural_forms(count: int, form: str) -> None:
    with i18n.speaking("ar"):
        assert i18n.points(count) == form


MARCH = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "amount", "points", "day", "ago", "percent"),
    [
        ("en", "€1,234.50", "12,403 points", "14 March 2026", "4 minutes ago", "12.5%"),
        ("fr", "1 234,50 €", "12 403 points", "14 mars 2026", "il y a 4 minutes", "12,5 %"),
        ("de", "1.234,50 €", "12.403 Punkte", "14. März 2026", "vor 4 Minuten", "12,5 %"),
        ("es", "1.234,50 €", "12.403 puntos", "14 de marzo de 2026", "hace 4 minutos", "12,5 %"),
        ("ja", "€1,234.50", "12,403ポイント", "2026年3月14日", "4 分前", "12.5%"),
        ("ar", "\u200f1,234.50 €", "12,403 نقاط", "14 مارس 2026", "قبل 4 دقائق", "12.5%"),
    ],
)
def test_numbers_money_and_time_by_locale(
    code: str, amount: str, points: str, day: str, ago: str, percent: str
) -> None:
    def plain(text: str) -> str:
        return re.sub("[\u00a0\u202f]", " ", text)

    with i18n.speaking(code), clock.fixed_at(MARCH + timedelta(minutes=4, seconds=5)):
        assert plain(i18n.money(123450, "EUR")) == amount
        assert plain(i18n.points(12403)) == points
        assert i18n.day(MARCH, ZoneInfo("America/New_York")) == day
        assert i18n.ago(MARCH) == ago
        assert plain(i18n.percent(Decimal("12.50"))) == percent


def test_outside_a_request_english_is_spoken_and_one_can_ask_for_another() -> None:
    assert (i18n.language(), i18n.points(1)) == ("en", "1 point")
    with i18n.speaking("fr-CA"):
        assert i18n.gettext("Copy") == "Copier"
        with i18n.speaking("xx"):
            assert i18n.gettext("Copy") == "Copy"
        assert i18n.language() == "fr"
    assert i18n.language() == "en"


@pytest.fixture
def face() -> Flask:
    """A face whose visitors may ask for a language, beside pages that leave it to the browser."""
    app = Flask(__name__)
    i18n.init(app)
    words = "{{ _('Copy') }} {{ ngettext('%(num)s point', '%(num)s points', n) }}"
    page = f"{{{{ get_locale() }}}} {{{{ direction() }}}} {words} {{{{ 1234567|money('JPY') }}}}"
    asked = Blueprint("asked", __name__, url_prefix="/asked")
    i18n.speaks(asked, lambda: request.args.get("lang"))
    for where in (app, asked):
        where.get("/")(lambda: render_template_string(page, n=1234))
    app.register_blueprint(asked)
    return app


@pytest.mark.parametrize(
    ("address", "accepted", "page"),
    [
        ("/", None, "en ltr Copy 1,234 points ¥1,234,567"),
        ("/", "nl, de-AT;q=0.8, fr;q=0.5", "de ltr Kopieren 1.234 Punkte 1.234.567 ¥"),
        ("/", "nl", "en ltr Copy 1,234 points ¥1,234,567"),
        ("/", "\x00;;q=x,,*", "en ltr Copy 1,234 points ¥1,234,567"),
        ("/asked/?lang=ar", "de", "ar rtl نسخ 1,234 نقطة \u200f1,234,567 JP¥"),
        ("/asked/?lang=../etc", "de", "en ltr Copy 1,234 points ¥1,234,567"),
        ("/asked/", "de", "de ltr Kopieren 1.234 Punkte 1.234.567 ¥"),
    ],
)
def test_a_request_speaks_what_its_face_chooses_or_the_browser_accepts(
    face: Flask, address: str, accepted: str | None, page: str
) -> None:
    headers = {"Accept-Language": accepted} if accepted else {}
    assert face.test_client().get(address, headers=headers).text.replace("\u00a0", " ") == page


def test_values_in_translated_pages_are_escaped(face: Flask) -> None:
    with face.test_request_context():
        page = (
            "{{ ngettext('%(num)s %(name)s', '%(num)s %(name)s', 2, name='<b>') }} {{ _('of %(name)s', name='<b>') }}"
        )
        assert render_template_string(page) == "2 &lt;b&gt; of &lt;b&gt;"
