"""Apple, as far as passes go: an authority that issues pass certificates, the push service, and an iPhone."""
