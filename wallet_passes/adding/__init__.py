"""How a card gets into a phone: a signed link, the page it opens, and the badges that lead to it."""
