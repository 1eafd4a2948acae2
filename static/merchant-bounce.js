// Asks App Bridge who is here, and comes back with the answer: once.

const address = new URL(location.href);
const stuck = () => { document.querySelector(".m-stuck").hidden = false; };

try {
  if (address.searchParams.has("tried")) throw new Error("tried before");
  const token = await globalThis.shopify.idToken();
  address.searchParams.set("id_token", token);
  address.searchParams.set("tried", "1");
  location.replace(address);
} catch {
  stuck();
}
