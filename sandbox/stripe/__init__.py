"""Stripe Connect on loopback: accounts, onboarding, transfers, and signed news, in Stripe's own shapes."""
