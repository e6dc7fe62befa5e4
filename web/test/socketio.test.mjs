import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createSocket } from "../page/js/socketio.js";

/** A WebSocket whose other end is the test. */
class FakeWebSocket {
  static made = [];
  sent = [];
  closed = false;

  constructor(url) {
    this.url = url;
    FakeWebSocket.made.push(this);
  }

  send(message) {
    assert.ok(!this.closed, "sent on a closed connection");
    this.sent.push(message);
  }

  close() {
    this.closed = true;
  }

  /** What the server sends. */
  says(...messages) {
    for (const data of messages) this.onmessage({ data });
  }

  /** What happens when the connection breaks. */
  breaks() {
    this.closed = true;
    this.onclose();
  }
}

const OPEN = '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}';

beforeEach(() => {
  globalThis.WebSocket = FakeWebSocket;
  FakeWebSocket.made = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(Math, "random", () => 0);
});

function connected(auth = () => undefined) {
  const seen = [];
  const socket = createSocket({
    url: "ws://h/socket.io/",
    auth,
    onState: (state, reason) => seen.push(reason ? `${state}: ${reason.code}` : state),
    onEvent: (...event) => seen.push(event),
  });
  socket.connect();
  const ws = FakeWebSocket.made[0];
  ws.says(OPEN, '40{"sid":"s"}');
  return { socket, ws, seen };
}

const latest = () => FakeWebSocket.made.at(-1);

test("it connects, proves itself, answers heartbeats and hears events", () => {
  const { socket, ws, seen } = connected(() => ({ token: "k" }));
  assert.equal(ws.url, "ws://h/socket.io/?EIO=4&transport=websocket");
  assert.deepEqual(ws.sent, ['40{"token":"k"}']);
  assert.ok(socket.connected);
  assert.equal(socket.id, "s");
  ws.says("2", "6", '42["chat",{"a":1},2]', '451-["bin",{"_placeholder":true,"num":0}]', new ArrayBuffer(3));
  assert.equal(ws.sent.at(-1), "3");
  assert.deepEqual(seen, ["connecting", "connected", ["chat", [{ a: 1 }, 2]], ["bin", [new ArrayBuffer(3)]]]);
});

test("questions have answers, refusals, or an end", async () => {
  const { socket, ws } = connected();
  const asked = [1, 2, 3].map((n) => socket.ask(1000, "add", n));
  assert.deepEqual(ws.sent.slice(1), ['420["add",1]', '421["add",2]', '422["add",3]']);
  ws.says('431[{"error":{"code":"no","message":"never"}}]', "430[5]", "430[6]", "4399[]");
  assert.equal(await asked[0], 5);
  await assert.rejects(asked[1], { name: "Refusal", code: "no", said: "never" });
  mock.timers.tick(1000);
  await assert.rejects(asked[2], { code: "no_reply" });
  const lost = socket.ask(1000, "add", 4);
  ws.breaks();
  await assert.rejects(lost, { code: "not_connected" });
  await assert.rejects(socket.ask(1000, "add", 5), { code: "not_connected" });
});

test("a lost connection is made again, ever more slowly, and quickly after a good one", () => {
  const { socket, ws, seen } = connected();
  ws.breaks();
  assert.ok(!socket.connected);
  for (const pause of [500, 1000, 2000, 4000, 5000, 5000]) {
    const before = FakeWebSocket.made.length;
    mock.timers.tick(pause - 1);
    assert.equal(FakeWebSocket.made.length, before, `before ${pause} ms`);
    mock.timers.tick(1);
    assert.equal(FakeWebSocket.made.length, before + 1, `after ${pause} ms`);
    latest().breaks();
  }
  mock.timers.tick(5000);
  latest().says(OPEN, '40{"sid":"t"}');
  assert.equal(socket.id, "t");
  latest().breaks();
  mock.timers.tick(500);
  latest().says(OPEN, '40{"sid":"u"}');
  assert.deepEqual(seen.filter((state) => state !== "connecting"),
    ["connected", "lost: closed", ...Array(6).fill("lost: unreachable"), "connected", "lost: closed", "connected"]);
});

test("a silent server is left", () => {
  const { ws, seen } = connected();
  mock.timers.tick(44_999);
  ws.says("2");
  mock.timers.tick(44_999);
  assert.ok(!ws.closed);
  mock.timers.tick(1);
  assert.ok(ws.closed);
  assert.equal(seen.at(-1), "lost: silent");
  ws.says('42["late"]');
  ws.onclose();
  assert.equal(seen.at(-1), "lost: silent", "what the old connection says is nobody's");
});

test("a server that does not open is left", () => {
  createSocket({ url: "ws://h/", auth: () => undefined, onState: () => {}, onEvent: () => {} }).connect();
  mock.timers.tick(10_000);
  assert.ok(latest().closed);
});

test("a refusal is the end until one connects again", () => {
  const { socket, seen } = connected();
  latest().breaks();
  mock.timers.tick(500);
  latest().says(OPEN, '44{"message":"who are you?","data":{"code":"invalid_token"}}');
  assert.ok(latest().closed);
  mock.timers.tick(60_000);
  assert.equal(FakeWebSocket.made.length, 2);
  assert.equal(seen.at(-1), "refused: invalid_token");
  socket.connect();
  assert.equal(FakeWebSocket.made.length, 3);
});

test("who is sent away comes back after a while", () => {
  const { ws, seen } = connected();
  ws.says("41");
  assert.ok(ws.closed);
  assert.equal(seen.at(-1), "lost: sent away");
  mock.timers.tick(1999);
  assert.equal(FakeWebSocket.made.length, 1);
  mock.timers.tick(1);
  assert.equal(FakeWebSocket.made.length, 2);
});

test("disconnecting says goodbye and stays away", () => {
  const { socket, ws, seen } = connected();
  socket.connect(); // is connected already
  assert.equal(FakeWebSocket.made.length, 1);
  socket.disconnect();
  assert.equal(ws.sent.at(-1), "41");
  assert.equal(seen.at(-1), "off");
  mock.timers.tick(60_000);
  assert.equal(FakeWebSocket.made.length, 1);
  socket.connect();
  latest().breaks();
  socket.disconnect();
  mock.timers.tick(60_000);
  assert.equal(FakeWebSocket.made.length, 2, "not even when it was waiting to try again");
});

test("what cannot be read ends the connection", () => {
  mock.method(console, "error", () => {});
  for (const message of ["4?", "42[", new ArrayBuffer(1), "0{"]) {
    const { ws, seen } = connected();
    ws.says(message);
    assert.ok(ws.closed);
    assert.equal(seen.at(-1), "lost: unreadable", String(message));
    FakeWebSocket.made = [];
  }
});
