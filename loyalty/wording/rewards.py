"""What points were spent on, and what came back, in words."""

from loyalty.wording.words import Teller

TELLERS: dict[str, Teller] = {}
