"""Members, the versioned program, order settlement, and the points ledger."""
