// Copies the browser build of the official Socket.IO client into dist/, where embed.go picks it up. The playground
// itself is plain HTML, CSS and ES modules and needs no build.
import { mkdir, readFile, writeFile } from "node:fs/promises";

const from = new URL("./node_modules/socket.io-client/", import.meta.url);
const to = new URL("./dist/", import.meta.url);
const name = "socket.io.esm.min.js";

const { version } = JSON.parse(await readFile(new URL("package.json", from), "utf8"));
const source = await readFile(new URL(`dist/${name}`, from), "utf8");

await mkdir(to, { recursive: true });
// The source map stays behind, so its reference would only be a 404 in every developer console.
await writeFile(new URL(name, to), source.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
console.log(`web/dist/${name}: socket.io-client ${version}`);
