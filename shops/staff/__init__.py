"""The people at the counter, the places they work at, and how they sign in."""
