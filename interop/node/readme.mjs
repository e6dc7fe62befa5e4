// Runs a piece of a README's JavaScript, given on standard input, as a page of the server named by the first argument
// would: `io` and `EventSource` are there, and addresses are that server's. A result in a comment at the end of a line is
// compared with what there is; a piece that prints is done when it has printed for each of its handlers.
import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { EventSource } from "eventsource";
import { io } from "socket.io-client";

const base = process.argv[2];
const code = (await text(process.stdin)).replace(/^(\s*)await (.*);\s*\/\/ ([[{].*)$/gm, "$1same(await $2, $3);");

const printed = [];
const console = { log: (...args) => printed.push(args) };
const sockets = [];
const streams = [];
const connect = (...args) => {
  const socket = io(base, ...args);
  sockets.push(socket);
  return socket;
};
class Stream extends EventSource {
  constructor(path) {
    super(new URL(path, base));
    streams.push(this);
  }
}
const same = (got, want) => assert.deepEqual(JSON.parse(JSON.stringify(got)), want);

const run = (body, ...names) => new (Object.getPrototypeOf(async () => {}).constructor)(...names, body);
// A piece without a socket of its own goes on with one that is connected.
const given = /\bconst socket\b/.test(code) ? undefined : connect();
if (given) await new Promise((resolve, reject) => { given.once("connect", resolve); given.once("connect_error", reject); });
await run(code, "io", "EventSource", "console", "same", "socket" in globalThis || !given ? "unused" : "socket")(connect, Stream, console, same, given);

for (const stream of streams) {
  if (stream.readyState !== EventSource.OPEN) {
    await new Promise((resolve, reject) => { stream.onopen = resolve; stream.onerror = ({ message }) => reject(new Error(message)); });
  }
}
if (streams.length > 0) {
  // Both halves of the page hear what is said now.
  const before = printed.length;
  await sockets[0].emitWithAck("chat", { name: "wren", text: "hello" });
  for (const deadline = Date.now() + 10_000; printed.length < before + 2;) {
    assert.ok(Date.now() < deadline, `printed: ${JSON.stringify(printed)}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
  assert.ok(printed.some((args) => args.join(" ") === "wren hello"), JSON.stringify(printed));
  assert.ok(printed.some(([line]) => line?.text === "hello"), JSON.stringify(printed));
}
for (const socket of sockets) socket.close();
for (const stream of streams) stream.close();
