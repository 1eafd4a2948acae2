"""Rewards: points spent in a saga that reaches into Shopify and never loses a point on the way."""
