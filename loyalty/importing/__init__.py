"""Members' balances, tiers and birthdays brought from another program, out of a spreadsheet."""
