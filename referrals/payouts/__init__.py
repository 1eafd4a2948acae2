"""Commission in money: the ledger, monthly statements, and transfers through Stripe."""
