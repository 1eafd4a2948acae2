"""Codes and links, attribution, fraud checks, give-get and payouts."""
