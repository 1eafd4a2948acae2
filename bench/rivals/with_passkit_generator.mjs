// Makes cards with npm's passkit-generator and prints how many it makes in a second of processor time.
// Arguments: where it is installed, a folder with a card's parts, for how many seconds, where to leave the last card.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [home, parts, seconds, last] = process.argv.slice(2);
const { PKPass } = createRequire(join(home, "package.json"))("passkit-generator");

const read = (name) => readFileSync(join(parts, name));
const names = readdirSync(join(parts, "files"), { recursive: true });
const files = Object.fromEntries(
  names.filter((name) => statSync(join(parts, "files", name)).isFile()).map((name) => [name, read(`files/${name}`)]),
);
const told = JSON.parse(read("pass.json"));
const certificates = { signerCert: read("pass.pem"), signerKey: read("pass.key"), wwdr: read("wwdr.pem") };

function card(number) {
  const own = Buffer.from(JSON.stringify({ ...told, serialNumber: `7-${number}` }));
  return new PKPass({ ...files, "pass.json": own }, certificates).getAsBuffer();
}

const spent = () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6;

// The first ones are slower, until the engine has compiled what it runs often.
let made = 0;
for (const until = spent() + 1; spent() < until; made++) card(made);
const [before, began] = [made, spent()];
while (spent() < began + Number(seconds)) card(made++);
console.log((made - before) / (spent() - began));
writeFileSync(last, card(made));
