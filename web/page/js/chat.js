// The left half: a room over Socket.IO, through the official client.

import { io } from "/dist/socket.io.esm.min.js";
import { byId, clock, el, say, setStatus } from "./dom.js";
import { createLog } from "./log.js";

const ACK_TIMEOUT = 5000;
const PROBE_EVERY = 4000;
const SENT_AWAY_FOR = 2000;
const SAME_AUTHOR_WITHIN = 120_000;

/**
 * @param who       { name, room }, read whenever needed
 * @param onEvent   called with the name of every event that arrives
 * @param token     gives the API key to connect with, or ""
 */
export function createChat(who, onEvent, token) {
  const status = byId("sio-status");
  const log = createLog(byId("messages"), byId("messages-empty"), (entry, before) => renderEntry(entry, before, who.name));
  const socket = io({
    reconnectionDelayMax: 2000,
    auth: (send) => send(token() ? { token: token() } : {}),
  });
  let joined = "";

  /** Sends an event and resolves with the reply of the server; a missing or unhappy reply is an Error. */
  async function ask(event, ...args) {
    if (!socket.connected) throw new Error("not connected");
    const start = performance.now();
    const reply = await socket.timeout(ACK_TIMEOUT).emitWithAck(event, ...args).catch(() => {
      throw new Error(`no reply within ${ACK_TIMEOUT / 1000} s`);
    });
    byId("latency").textContent = `${(performance.now() - start).toFixed(1)} ms`;
    if (reply?.error) throw new Error(`${reply.error.message} (${reply.error.code})`);
    return reply;
  }

  async function enter(room) {
    if (!socket.connected) return;
    try {
      if (joined && joined !== room) await ask("unsubscribe", joined);
      await ask("subscribe", room);
      joined = room;
      say(byId("chat-error"), "");
    } catch (error) {
      say(byId("chat-error"), `Could not enter ${room}: ${error.message}`);
    }
  }

  // The session opens before the socket connects, and on a good day it is upgraded by then, so watch it from there.
  socket.io.on("open", () => {
    const opened = performance.now();
    const engine = socket.io.engine;
    showTransport(engine.transport.name, "");
    engine.once("upgrade", (transport) => {
      showTransport(transport.name, `upgraded in ${Math.round(performance.now() - opened)} ms`);
    });
  });
  socket.on("connect", () => {
    setStatus(status, byId("state"), "connected");
    byId("sid").textContent = socket.id;
    joined = ""; // rooms belong to the socket that was lost
    enter(who.room);
  });
  socket.on("disconnect", (reason) => {
    setStatus(status, byId("state"), "lost", `disconnected: ${reason}`);
    showTransport("none", "");
    byId("sid").textContent = "";
    byId("latency").textContent = "–";
    // The server asked us to go; the client library does not come back by itself then, but this page should.
    if (reason === "io server disconnect") setTimeout(() => socket.connect(), SENT_AWAY_FOR);
  });
  socket.on("connect_error", (error) => {
    // A refusal by the server is final; only a broken connection is tried again.
    setStatus(status, byId("state"), "lost", socket.active ? `${error.message}, trying again` : error.message);
  });
  socket.onAny((event, ...args) => {
    onEvent(event);
    log.push(toEntry(event, args));
  });

  // Entering a room twice changes nothing, so it makes a harmless question to time.
  setInterval(() => {
    if (socket.connected && joined && !document.hidden) ask("subscribe", joined).catch(() => {});
  }, PROBE_EVERY);

  byId("chat-form").addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const box = byId("message");
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
    try {
      await ask("publish", { rooms: [who.room], event: "chat", args: [{ name: who.name, text, at: Date.now() }] });
      say(byId("chat-error"), "");
    } catch (error) {
      if (!box.value) box.value = text;
      say(byId("chat-error"), `Not sent: ${error.message}`);
    }
  });

  return {
    ask,
    /** Connects anew, with the key the visitor has given meanwhile. */
    reconnect: () => socket.disconnect().connect(),
    enter(room) {
      log.clear();
      return enter(room);
    },
  };
}

function showTransport(name, note) {
  const output = byId("transport");
  output.textContent = name;
  output.dataset.transport = name;
  byId("transport-note").textContent = note;
}

/** A chat line if it looks like one; anything else the room receives is shown as the event it is. */
function toEntry(event, args) {
  const [first] = args;
  const at = Date.now();
  if (event === "chat" && first && typeof first.text === "string") {
    return { name: String(first.name ?? "somebody"), text: first.text, at: Number(first.at) || at };
  }
  return { event, json: JSON.stringify(args, binaryAsSize), at };
}

function binaryAsSize(_key, value) {
  return value instanceof ArrayBuffer ? `<${value.byteLength} bytes>` : value;
}

function renderEntry(entry, before, myName) {
  const time = el("time", { datetime: new Date(entry.at).toISOString() }, clock(entry.at));
  if (entry.event !== undefined) {
    return el("li", { class: "event", "data-testid": "event" }, el("b", {}, entry.event), ` ${entry.json} `);
  }
  const same = before?.name === entry.name && entry.at - before.at < SAME_AUTHOR_WITHIN;
  const classes = `${entry.name === myName ? "mine" : ""} ${same ? "same" : ""}`.trim();
  const row = el("li", { class: classes, "data-testid": "chat-line" });
  if (!same) {
    row.append(
      el("span", { class: "face", "aria-hidden": "true" }, [...entry.name][0]?.toUpperCase() ?? "?"),
      el("span", { class: "byline" }, el("b", {}, entry.name), time),
    );
  }
  row.append(el("span", { class: "text" }, entry.text));
  return row;
}
