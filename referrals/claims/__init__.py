"""Friends who leave an e-mail, and the code that Shopify makes for them."""
