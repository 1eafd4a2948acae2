"""Mails to members: points that expire soon, a tier reached or about to end, a reward with its code, a friend's order.

event ──▶ effect of the member ──▶ rules: is it news, may it go ──▶ facts ──▶ letters: the words ──▶ SMTP ──▶ a record

Which kinds are sent is the shop's choice (`shops.mailings`); none is until it says so, and what happened before that is
never mailed about. `docs/member-mails.md` says who gets what, and by which right.
"""

from flask import Flask

from web.mailing import routes


def register(app: Flask) -> None:
    """Serve the page that ends mails, and previews."""
    app.register_blueprint(routes.pages)
