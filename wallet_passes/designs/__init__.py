"""How a shop's cards look: drafted, published as numbered versions, and rolled out to every card."""
