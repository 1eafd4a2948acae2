"""The demo's home page: the four places of the product and a live view of what happens. Development only."""

from flask import Blueprint, Flask

home = Blueprint("home", __name__)


def register(app: Flask) -> None:
    app.register_blueprint(home)
