// Prints what Shopify's theme check finds in theme/, as JSON: one entry an offense.
import { themeCheckRun } from "@shopify/theme-check-node";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("theme/", import.meta.url));
const { offenses } = await themeCheckRun(folder, "theme-check:theme-app-extension", () => {});
const shown = offenses.map(({ check, message, uri, severity, start }) => ({
  check,
  message,
  severity,
  file: uri.split("/theme/").pop(),
  line: start.line + 1,
}));
console.log(JSON.stringify(shown));
