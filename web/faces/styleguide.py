"""`/styleguide`: every component in every state, where people develop. Never in production."""

from flask import Blueprint, Response, g, render_template

from web.faces import policy

guide = Blueprint("styleguide", __name__)


@guide.get("/styleguide")
def show() -> str:
    g.form_owner = "styleguide"
    return render_template("faces/styleguide.html")


@guide.after_request
def _strict(response: Response) -> Response:
    return policy.apply(response, policy.Allowed())
