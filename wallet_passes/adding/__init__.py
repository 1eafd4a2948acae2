"""How a card gets into a phone: signed links, the page they open, badges, and QR codes."""
