/** Where Rapport runs; the same address as in shopify.app.toml. */
export const APP = "https://rapport.example";
