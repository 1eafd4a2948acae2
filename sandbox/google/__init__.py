"""A Google Wallet on loopback: the Wallet Objects API, the page that saves a card, and the callbacks."""
