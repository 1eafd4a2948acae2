"""Short messages from the merchant to members' cards."""
