"""The first page: how the program is doing."""

from web.merchant.desk import Answer, Desk, go, page


@page("")
def home(desk: Desk) -> Answer:
    """Members, until there are numbers to show."""
    return go("members")
