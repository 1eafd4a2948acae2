"""A message as a merchant writes it. Pure."""

from typing import Annotated, Any

from pydantic import AfterValidator, AnyUrl, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from loyalty.program.parts import Moment
from wallet_passes.messages import rules
from wallet_passes.messages.audience import Audience
from wallet_passes.messages.rules import BadText

# Code points taken in at all; what is kept of them is for `rules.checked` to say.
_MOST_SENT = 2000
_MOST_LINK = 500

_URL = TypeAdapter(AnyUrl)


def _title(text: str) -> str:
    return _checked(text, rules.TITLE, rules.MOST_TITLE)


def _body(text: str) -> str:
    return _checked(text, rules.BODY, rules.MOST_BODY)


def _checked(text: str, most: int, most_points: int) -> str:
    try:
        return rules.checked(text, most, most_points)
    except BadText as bad:
        raise PydanticCustomError("text", "{reason}", {"reason": str(bad)}) from None


def _link(text: Any) -> Any:
    """An address as browsers write it. One that names a person before its host is made to deceive."""
    if not isinstance(text, str):
        return text
    try:
        url = _URL.validate_python(text.strip())
    except ValidationError:
        url = None
    if url is None or url.scheme != "https" or not url.host or url.username or url.password:
        raise PydanticCustomError("link", "must be an address that starts with https://")
    return str(url)


class Composed(BaseModel):
    """What a message says, to whom, and when. Moments without an offset are read on the shop's clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[
        str,
        Field(min_length=1, max_length=_MOST_SENT, description=f"At most {rules.TITLE} visible characters."),
        AfterValidator(_title),
    ]
    body: Annotated[
        str,
        Field(min_length=1, max_length=_MOST_SENT, description=f"At most {rules.BODY} visible characters."),
        AfterValidator(_body),
    ]
    audience: Audience
    link: Annotated[
        Annotated[str, Field(max_length=_MOST_LINK, pattern="^https://"), BeforeValidator(_link)] | None,
        Field(description="Where it leads."),
    ] = None
    quiet: Annotated[bool, Field(strict=True, description="Changes the cards, and phones announce nothing.")] = False
    send_at: Annotated[Moment | None, Field(description="Null: as soon as it is told to be sent.")] = None
    ends_at: Annotated[Moment | None, Field(description="Until when cards show it; null: until the next one.")] = None
