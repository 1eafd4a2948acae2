"""Pass content and design, Apple and Google Wallet, and the barcode."""
