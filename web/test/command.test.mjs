import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { followCommand, publishCode, publishCommand } from "../page/js/command.js";

const ARGUMENTS = "curl() { printf '%s\\0' \"$@\"; }; ";

/** What curl would be given if somebody pasted the command into a shell. */
function pasted(command, env = {}) {
  const out = execFileSync("sh", ["-c", ARGUMENTS + command], { encoding: "utf8", env: { PATH: process.env.PATH, ...env } });
  return out.split("\0").slice(0, -1);
}

const NASTY = `it's $(touch x) \`id\` "quoted" \\ !! \n & ; | < > * 你好`;

test("a pasted publish command sends exactly the request", () => {
  const request = { event: NASTY, rooms: [NASTY], args: [{ text: NASTY }, "'"] };
  const args = pasted(publishCommand("http://127.0.0.1:8080/v1/publish", request, false));
  assert.deepEqual(args.slice(0, -1), ["http://127.0.0.1:8080/v1/publish", "-H", "Content-Type: application/json", "-d"]);
  assert.deepEqual(JSON.parse(args.at(-1)), request);
});

test("the key comes from the environment and is not in the command", () => {
  const command = publishCommand("http://h/", { event: "e", args: [] }, true);
  assert.ok(pasted(command, { PEAL_API_KEY: "s3cret" }).includes("Authorization: Bearer s3cret"));
  assert.ok(!command.includes("s3cret"));
});

test("a pasted follow command names one URL", () => {
  const url = "http://h/v1/events?room=a'b&room=c";
  assert.deepEqual(pasted(followCommand(url, false)), ["-N", url]);
  assert.deepEqual(pasted(followCommand(url, true), { PEAL_API_KEY: "s3cret" }), ["-N", url, "-H", "Authorization: Bearer s3cret"]);
});

test("the code for the socket runs", async () => {
  const request = { event: "chat", args: [NASTY] };
  const sent = [];
  const socket = { emitWithAck: async (...args) => sent.push(args) };
  await new Function("socket", `return (async () => { ${publishCode(request)} })()`)(socket);
  assert.deepEqual(sent, [["publish", request]]);
});
