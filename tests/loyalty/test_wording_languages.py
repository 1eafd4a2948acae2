"""What happened to points, in each language: a table of sentences, and that none of them slips back into English."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.i18n import ENGLISH, LANGUAGES, speaking
from loyalty.expiry.rules import Due
from loyalty.models import Posting
from loyalty.program import Benefit, Expiry
from loyalty.wording import TELLERS, order_text, sentence
from loyalty.wording.expiry import due_text
from loyalty.wording.rewards import status_text
from referrals import sharing

OTHERS = tuple(code for code in LANGUAGES if code != ENGLISH)
NAMES = {"advocate": "Ambre", "vip": "VIP"}
TOLD: dict[str, Any] = {
    "rule": "order-points", "order": "#1043", "currency": "EUR", "spend": 123450, "eligible": 123450,
    "refunded": 2000, "rate": "1", "tier": "advocate", "multiplier": "1.25", "status": "paid", "points": 1543,
    "bonuses": [{"name": "1+1", "points": "50.5"}], "boosted_from": 40, "years": 3, "question": "?", "network": "X",
    "action": "follow", "name": "№5", "reason_given": "№7", "kind": "inactivity", "timezone": "Europe/Paris",
    "since": "2026-01-05T12:00:00+00:00", "until": "2026-02-05T12:00:00+00:00", "months": 12, "friends": 3,
    "amount": 500, "receipt": "A7",
}  # fmt: skip
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
# Words that none of the other languages has.
LEAKS = re.compile(r"\b(the|you|your|yours|you're|order|because|went|back|came|friend|for|with|and|of|is|are)\b", re.I)


def plain(text: str) -> str:
    return re.sub("[\u00a0\u202f]", " ", text)


def posting(points: int, reason: str, source: str = "issued", target: str = "available", **told: Any) -> Posting:
    kind = "release" if (source, target) == ("pending", "available") else "earn"
    return Posting(kind=kind, source=source, target=target, points=points, explanation=TOLD | told | {"reason": reason})


STORIES = {
    "an order": (
        posting(1543, "earned", bonuses=[]),
        "1 543 points pour la commande #1043. 1 234,50 € à raison de 1 point pour 1 €, × 1,25 car vous êtes Ambre, "
        "arrondi à l’unité inférieure.",
        "1.543 Punkte für Bestellung #1043. 1.234,50 € zu 1 Punkt je 1 €, × 1,25, weil Sie Ambre sind, abgerundet.",
        "1.543 puntos por el pedido #1043. 1.234,50 € a razón de 1 punto por cada 1 €, × 1,25 porque eres Ambre, "
        "redondeado a la baja.",
        "注文#1043で1,543ポイント。€1,234.50（€1につき1ポイント）、Ambre会員のため×1.25、端数切り捨て。",
        "1,543 نقطة مقابل الطلب #1043. \u200f1,234.50 €: نقطة واحدة لكل \u200f1 €، × 1.25 لأن مستواك Ambre، مع التقريب "
        "إلى الأدنى.",
    ),
    "a refund": (
        posting(1, "refund", "available", "issued"),
        "20,00 € remboursés sur la commande #1043 : 1 point en moins.",
        "Für Bestellung #1043 wurden 20,00 € erstattet: 1 Punkt abgezogen.",
        "20,00 € reembolsados en el pedido #1043: 1 punto menos.",
        "注文#1043のうち€20.00が返金されました。1ポイントを差し引きました。",
        "رُدّ \u200f20.00 € من الطلب #1043، لذلك خُصمت نقطة واحدة.",
    ),
    "points to use": (
        posting(2, "payment", "pending", "available"),
        "2 points pour la commande #1043 sont prêts à être utilisés.",
        "2 Punkte für Bestellung #1043 können jetzt eingelöst werden.",
        "2 puntos por el pedido #1043 ya están listos para usar.",
        "注文#1043の2ポイントが使えるようになりました。",
        "نقطتان مقابل الطلب #1043 متاحة للاستخدام الآن.",
    ),
    "a birthday": (
        posting(50, "birthday"),
        "Joyeux anniversaire ! 50 points pour vous, au lieu de 40, car vous êtes Ambre.",
        "Alles Gute zum Geburtstag! 50 Punkte für Sie statt 40, weil Sie Ambre sind.",
        "¡Feliz cumpleaños! 50 puntos para ti en lugar de 40, porque eres Ambre.",
        "お誕生日おめでとうございます！Ambre会員のため、40ではなく50ポイントをプレゼント。",
        "عيد ميلاد سعيد! 50 نقطة لك بدلًا من 40 لأن مستواك Ambre.",
    ),
    "years": (
        posting(300, "anniversary"),
        "300 points pour 3 ans avec nous. Merci !",
        "300 Punkte für 3 Jahre mit uns. Vielen Dank!",
        "300 puntos por 3 años con nosotros. ¡Gracias!",
        "ご入会3周年の300ポイント。ありがとうございます！",
        "300 نقطة احتفاءً بمرور 3 سنوات معنا. شكرًا لك!",
    ),
    "friends": (
        posting(11, "friends_reached"),
        "11 points : 3 amis que vous avez invités ont passé leur première commande.",
        "11 Punkte, weil 3 von Ihnen eingeladene Personen zum ersten Mal bestellt haben.",
        "11 puntos porque 3 amigos que invitaste hicieron su primer pedido.",
        "ご紹介したお友だち3人が初めてご注文になり、11ポイント。",
        "11 نقطة لأن 3 أصدقاء ممن دعوتهم سجّلوا طلبهم الأول.",
    ),
    "a reward": (
        posting(500, "redeemed", "available", "redeemed"),
        "№5 en échange de 500 points.",
        "500 Punkte für №5 eingelöst.",
        "Canje de 500 puntos por №5.",
        "№5に500ポイントを使用しました。",
        "أُنفقت 500 نقطة على №5.",
    ),
    "an adjustment": (
        posting(5, "adjusted", "available", "adjusted", reason_given=""),
        "La boutique a retiré 5 points.",
        "5 Punkte vom Shop abgezogen.",
        "La tienda ha retirado 5 puntos.",
        "ショップにより5ポイントが差し引かれました。",
        "خُصمت 5 نقاط من جانب المتجر.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("code", OTHERS)
def test_a_posting_in_each_language(code: str, story: str) -> None:
    made, *texts = STORIES[story]
    with speaking(code):
        assert plain(sentence(made, NAMES)) == texts[OTHERS.index(code)]


@pytest.mark.parametrize("code", OTHERS)
def test_more_in_each_language(code: str) -> None:
    """What expires, a reward's status, why an order earns nothing, and what a friend gets."""
    row = SimpleNamespace(status="failed", points=3, terms={}, order_id=None, expires_at=None)
    zone = ZoneInfo("Europe/Paris")
    with speaking(code):
        said = [
            due_text(Due(NOON, 1, NOON, NOON), Expiry(kind="inactivity", months=12), zone),
            status_text(row, zone),
            order_text("#7", "cancelled", None, NAMES),
            sharing.gift(Benefit(kind="percentage", percentage="12.5", minimum_order=3000), "EUR"),
        ]
    assert [plain(text) for text in said] == MORE[code]


MORE = {
    "fr": [
        "1 point expire le 14 mars 2026, sauf si vous gagnez ou utilisez des points d’ici là.",
        "Nous n’avons pas pu le préparer : 3 points rendus. Toutes nos excuses.",
        "La commande #7 a été annulée : elle ne rapporte aucun point.",
        "12,5 % de réduction sur la première commande d’au moins 30 €",
    ],
    "de": [
        "1 Punkt verfällt am 14. März 2026, wenn Sie bis dahin keine Punkte sammeln oder einlösen.",
        "Wir konnten es nicht bereitstellen, 3 Punkte sind zurück. Es tut uns leid.",
        "Bestellung #7 wurde storniert. Dafür gibt es keine Punkte.",
        "12,5 % Rabatt auf die erste Bestellung ab 30 €",
    ],
    "es": [
        "1 punto caduca el 14 de marzo de 2026, salvo que ganes o uses puntos antes.",
        "No hemos podido prepararlo, así que 3 puntos han vuelto. Lo sentimos.",
        "El pedido #7 se canceló, así que no da puntos.",
        "12,5 % de descuento en tu primer pedido de 30 € o más",
    ],
    "ja": [
        "それまでにポイントの獲得や利用がない場合、1ポイントが2026年3月14日に失効します。",
        "ご用意できなかったため、3ポイントをお戻ししました。申し訳ございません。",
        "注文#7はキャンセルされました。ポイントは付きません。",
        "€30以上の初回のご注文で12.5%割引",
    ],
    "ar": [
        "تنتهي صلاحية نقطة واحدة في 14 مارس 2026، ما لم تكسب نقاطًا أو تستخدمها قبل ذلك.",
        "لم نتمكن من تجهيزها، فعادت إليك 3 نقاط. نعتذر.",
        "أُلغي الطلب #7، لذلك لا تُحتسب له نقاط.",
        "خصم 12.5% على طلبك الأول بقيمة \u200f30 € أو أكثر",
    ],
}


@pytest.mark.parametrize("reason", [*TELLERS, "unheard-of"])
@pytest.mark.parametrize("code", OTHERS)
def test_no_teller_slips_into_english(code: str, reason: str) -> None:
    moves = [("issued", "available"), ("available", "issued"), ("available", "pending"), ("pending", "available")]
    for source, target in moves:
        for more in (
            {},
            {"capped": "day", "action": "share"},
            {"kind": "lot", "limited_to": 9, "tier_name": "№6", "order": None, "every_order": True},
        ):
            made = posting(11, reason, source, target, **more)
            english = sentence(made, NAMES)
            with speaking(code):
                text = sentence(made, NAMES)
            assert text != english
            assert not LEAKS.search(text), text
            if code in ("ja", "ar"):
                assert not re.search("[a-z]{2}", text.replace("Ambre", "")), text


def test_an_old_explanation_reads_the_same_in_english_whatever_was_spoken_before() -> None:
    made = posting(25, "refund", "available", "issued")
    before = sentence(made, NAMES)
    with speaking("ar"):
        sentence(made, NAMES)
    assert sentence(made, NAMES) == before == "€20.00 of order #1043 was refunded, so 25 points went back."
