"""Points that expired, in words."""

from loyalty.wording.words import Teller

TELLERS: dict[str, Teller] = {}
