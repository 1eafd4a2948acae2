"""What merchants read when something goes wrong, where the error's own sentence is not for them."""

from core.i18n import _
from web import faces


def words() -> dict[str, tuple[str, str]]:
    """Titles and sentences by an error's code."""
    return {
        "not_found": (_("There is no such page"), _("It may have moved. Everything is reachable from the menu above.")),
        "no_member": (
            _("There is no such member"),
            _("They may have been erased at their own request, or the address was cut off."),
        ),
        "no_order": (_("There is no such order"), _("It may not have reached us yet, or belongs to another store.")),
        "no_program": (
            _("There is no program yet"),
            _("Set one up in a few minutes; nothing is live before you say so."),
        ),
        "member_merged": (_("This member was merged"), _("Their points and orders now belong to another member.")),
        "stale_form": (
            _("This page was open for a long time"),
            _("Nothing was changed. Load the page again and repeat what you did."),
        ),
        "away": (
            _("We couldn’t reach the database just now"),
            _("Nothing is lost: what Shopify tells us waits until it is back. Try again in a minute."),
        ),
        "unavailable": (_("Shopify doesn’t answer just now"), _("Nothing is lost; try again in a minute.")),
        "unexpected": (
            _("Something went wrong on our side"),
            _("It has been noted down. Nothing you did was saved; try again, please."),
        ),
    }


LOOK = faces.Look("merchant/sorry.html", words)
