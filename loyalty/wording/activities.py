"""What members did beside buying, in words."""

from loyalty.wording.words import Teller

TELLERS: dict[str, Teller] = {}
