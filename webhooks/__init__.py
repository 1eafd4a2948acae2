"""The inbound door: verify, inbox, dispatch by topic, and the one place that settles an order across rooms."""
