"""Google Wallet: classes, objects, save links, and what Google tells back."""
