"""A page's form as a browser without scripts would send it."""

from html.parser import HTMLParser

from werkzeug.datastructures import MultiDict


class _Form(HTMLParser):
    """The fields inside the form with this id."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.inside = form, False
        self.sent: MultiDict[str, str] = MultiDict()
        self.ids: set[str] = set()
        self.marked: dict[str, str] = {}
        self.select: tuple[str, list[tuple[str, bool]]] | None = None
        self.area: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.ids.add(told.get("id", ""))
        if tag == "form":
            self.inside = told.get("id") == self.form
        if not self.inside:
            return
        if "aria-invalid" in told:
            self.marked[told.get("name") or told["id"].removeprefix("f-")] = told["aria-describedby"]
        if tag == "input" and "name" in told:
            box = told.get("type") in ("checkbox", "radio")
            if not box or "checked" in told:
                self.sent.add(told["name"], told.get("value", "on" if box else "").replace("\n", ""))
        elif tag == "select":
            self.select = (told["name"], [])
        elif tag == "option" and self.select:
            self.select[1].append((told["value"], "selected" in told))
        elif tag == "textarea":
            self.area = (told["name"], "")

    def handle_data(self, data: str) -> None:
        if self.area:
            self.area = (self.area[0], self.area[1] + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select" and self.select:
            name, options = self.select
            self.sent.add(name, next((value for value, chosen in options if chosen), options[0][0]))
            self.select = None
        elif tag == "textarea" and self.area:
            # The first line end after the tag is none; others are sent as two characters.
            self.sent.add(self.area[0], self.area[1].removeprefix("\n").replace("\n", "\r\n"))
            self.area = None


def form_of(page: str, form: str = "program-form") -> _Form:
    """The form's fields in `sent`, what is marked as wrong in `marked` with the id of what says why."""
    read = _Form(form)
    read.feed(page)
    return read


def fields_of(page: str, form: str = "program-form") -> MultiDict[str, str]:
    """What would be sent if nobody had touched it."""
    sent = form_of(page, form).sent
    sent.poplist("form_token")
    return sent
