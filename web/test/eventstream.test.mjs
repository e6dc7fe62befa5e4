import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { createParser, follow, refusal } from "../page/js/eventstream.js";

function parse(...chunks) {
  const got = [];
  const feed = createParser({
    onEvent: (event) => got.push(event),
    onComment: (text) => got.push(`: ${text}`),
    onRetry: (pause) => got.push(pause),
  });
  for (const chunk of chunks) feed(chunk);
  return got;
}

test("streams are read as the standard has them", () => {
  const event = (event, data, id = "") => ({ id, event, data });
  assert.deepEqual(parse("data: a\n\n"), [event("message", "a")]);
  assert.deepEqual(parse("id: 1\nevent: e\ndata: a\ndata:b\n\n"), [event("e", "a\nb", "1")]);
  assert.deepEqual(parse("id: 1\ndata: a\r\n\r\ndata\rdata:  b\r\r."), [event("message", "a", "1"), event("message", "\n b", "1")]);
  assert.deepEqual(parse(": hello\n:\nretry: 12\nretry: x\nevent: e\n\n"), [": hello", ": ", 12]);
  assert.deepEqual(parse("data: half"), []);
});

test("it does not matter where a stream is cut", () => {
  const text = "retry: 5\r\n\r\n: c\rid: 7\nevent: ärger\ndata: [1,\r\ndata: 2]\r\n\r\ndata: x\n\n";
  const whole = parse(text);
  assert.equal(whole.length, 4);
  for (let i = 0; i <= text.length; i++) {
    for (let j = i; j <= text.length; j++) assert.deepEqual(parse(text.slice(0, i), text.slice(i, j), text.slice(j)), whole, `${i} ${j}`);
  }
});

/** A server that answers one request after the other as the handlers say. */
async function serve(t, ...handlers) {
  const server = createServer((request, response) => handlers.shift()(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}/`;
}

test("a stream that ends is opened again where it ended, and one that is refused is not", async (t) => {
  const seen = [];
  const stream = (text) => (request, response) => {
    seen.push([request.headers.authorization, request.headers["last-event-id"]]);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.end(text);
  };
  const url = await serve(t, stream("retry: 1\nid: a\ndata: 1\n\n"), stream("id: b\ndata: 2\n\n"), (_, response) => {
    response.writeHead(503);
    response.end("<h1>busy</h1>");
  }, (_, response) => {
    response.writeHead(401);
    response.end('{"error":{"code":"token_required","message":"send it"}}');
  });
  const got = [];
  const reason = await new Promise((resolve) => {
    follow({
      url,
      headers: () => ({ Authorization: "Bearer k" }),
      onState(state, reason) {
        got.push(reason ? `${state} ${reason.code}` : state);
        if (state === "refused") resolve(reason);
      },
      onEvent: ({ data }) => got.push(data),
    });
  });
  assert.deepEqual(got, ["connecting", "connected", "1", "lost closed", "connecting", "connected", "2", "lost closed",
    "connecting", "lost status", "connecting", "refused token_required"]);
  assert.equal(reason.message, "send it");
  assert.deepEqual(seen, [["Bearer k", undefined], ["Bearer k", "a"]]);
});

test("a stream that was closed says nothing more", async (t) => {
  const url = await serve(t, (_, response) => {
    response.writeHead(200);
    response.write("data: 1\n\n");
  });
  const got = [];
  await new Promise((resolve) => {
    const stream = follow({
      url,
      headers: () => ({}),
      onState: (state) => { got.push(state); if (state === "off") resolve(); },
      onEvent: () => { stream.close(); stream.close(); },
    });
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(got, ["connecting", "connected", "off"]);
});

test("refusals have a code whatever comes", async () => {
  const of = async (status, body) => refusal(new Response(body, { status }));
  assert.deepEqual(await of(400, '{"error":{"code":"c","message":"m"}}'), { code: "c", message: "m" });
  assert.deepEqual(await of(502, "<html>"), { code: "status", message: "502" });
  assert.deepEqual(await of(404, '{"error":"x"}'), { code: "status", message: "404" });
  assert.deepEqual(await of(500, "null"), { code: "status", message: "500" });
});
