"""Order states, refunds and labels to and from the JSON that the `orders` table keeps."""

from collections.abc import Mapping

import msgspec

from loyalty.earning.rules import Labels
from loyalty.rules import OrderState, Refund

_state = msgspec.json.Decoder(OrderState)
_refunds = msgspec.json.Decoder(dict[int, Refund])
_labels = msgspec.json.Decoder(dict[int, Labels])


def encode_state(state: OrderState | None) -> str | None:
    return None if state is None else msgspec.json.encode(state).decode()


def encode_refunds(refunds: Mapping[int, Refund]) -> str:
    return msgspec.json.encode(refunds).decode() if refunds else "{}"


def decode_state(text: str | None) -> OrderState | None:
    return None if text is None else _state.decode(text)


def decode_refunds(text: str) -> dict[int, Refund]:
    return {} if text == "{}" else _refunds.decode(text)


def encode_labels(labels: Mapping[int, Labels] | None) -> str | None:
    return None if labels is None else msgspec.json.encode(labels).decode()


def decode_labels(text: str | None) -> dict[int, Labels] | None:
    return None if text is None else _labels.decode(text)
