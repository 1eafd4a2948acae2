"""Apple Wallet: signed pass files, the web service that phones speak with, and pushes to them."""
