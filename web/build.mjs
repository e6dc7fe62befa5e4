// Copies the browser builds of the official Socket.IO client, as they are, into dist/, where embed.go picks them up for
// /socket.io/socket.io.js. The playground needs none of them.
import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";

const from = new URL("./node_modules/socket.io-client/", import.meta.url);
const to = new URL("./dist/", import.meta.url);

const { version } = JSON.parse(await readFile(new URL("package.json", from), "utf8"));
const names = (await readdir(new URL("dist/", from))).filter((name) => /\.js(\.map)?$/.test(name));

await mkdir(to, { recursive: true });
for (const name of names) await copyFile(new URL(`dist/${name}`, from), new URL(name, to));
console.log(`web/dist: ${names.length} files of socket.io-client ${version}`);
