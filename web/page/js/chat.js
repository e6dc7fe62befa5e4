// The left half: a room over Socket.IO.

import { byId, clock, el, say, setStatus } from "./dom.js";
import { t } from "./i18n.js";
import { createLog } from "./log.js";
import { createSocket } from "./socketio.js";
import { explain, wantsKey } from "./words.js";

const ACK_TIMEOUT = 5000;
const PROBE_EVERY = 4000;
const SAME_AUTHOR_WITHIN = 120_000;

/**
 * @param who    { name, room }, read whenever needed
 * @param onEvent called when an event arrives
 * @param token  gives the API key to connect with, or ""
 * @param askKey called with the reason when the node wants the key
 */
export function createChat(who, onEvent, token, askKey) {
  const log = createLog(byId("messages"), byId("messages-empty"), (entry, before) => renderEntry(entry, before, who.name));
  const problem = byId("chat-error");
  const button = byId("sio-switch");
  const socket = createSocket({
    url: `${location.origin.replace(/^http/, "ws")}/socket.io/`,
    auth: () => (token() ? { token: token() } : undefined),
    onState: changed,
    onEvent(event, args) {
      onEvent();
      log.push(toEntry(event, args));
    },
  });
  let joined = "";
  let on = true;

  function changed(state, reason) {
    const connected = state === "connected";
    on = state !== "off" && state !== "refused";
    showState("sio-status", "state", state, reason);
    button.textContent = on ? t("Disconnect") : t("Connect");
    byId("sid").textContent = connected ? socket.id : "–";
    const transport = byId("transport");
    transport.textContent = connected ? "websocket" : t("none");
    transport.dataset.transport = connected ? "websocket" : "none";
    if (!connected) byId("latency").textContent = "–";
    joined = ""; // rooms belong to the socket that was lost
    say(problem, "");
    if (connected) enter(who.room);
    if (state === "refused" && wantsKey(reason)) askKey(reason);
  }

  /** Sends an event and resolves with the reply of the server; a missing or unhappy reply is a Refusal. */
  async function ask(event, ...args) {
    const start = performance.now();
    const reply = await socket.ask(ACK_TIMEOUT, event, ...args);
    byId("latency").textContent = `${(performance.now() - start).toFixed(1)} ms`;
    return reply;
  }

  async function enter(room) {
    if (!socket.connected) return;
    try {
      if (joined && joined !== room) await ask("unsubscribe", joined);
      await ask("subscribe", room);
      joined = room;
      say(problem, "");
    } catch (error) {
      if (wantsKey(error)) askKey(error);
      say(problem, t("Not in {room}: {reason}.", { room, reason: explain(error) }));
    }
  }

  // Entering a room twice changes nothing, so it makes a harmless question to time.
  setInterval(() => {
    if (socket.connected && joined && !document.hidden) ask("subscribe", joined).catch(() => {});
  }, PROBE_EVERY);

  button.addEventListener("click", () => (on ? socket.disconnect() : socket.connect()));
  byId("chat-form").addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const box = byId("message");
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
    try {
      await ask("publish", { rooms: [who.room], event: "chat", args: [{ name: who.name, text, at: Date.now() }] });
      say(problem, "");
    } catch (error) {
      if (!box.value) box.value = text;
      if (wantsKey(error)) askKey(error);
      say(problem, t("Not sent: {reason}.", { reason: explain(error) }));
    }
  });
  socket.connect();

  return {
    ask,
    get id() {
      return socket.id;
    },
    /** Connects anew, with the key the visitor has given meanwhile. */
    reconnect() {
      socket.disconnect();
      socket.connect();
    },
    enter(room) {
      log.clear();
      return enter(room);
    },
  };
}

/** The dot and the words that tell how a connection is. */
export function showState(container, output, state, reason) {
  const waiting = reason && wantsKey(reason);
  const words = {
    connecting: t("connecting"),
    connected: t("connected"),
    off: t("disconnected"),
    lost: reason && t("{reason}; trying again", { reason: explain(reason) }),
    refused: waiting ? t("waiting for the API key") : reason && t("refused: {reason}", { reason: explain(reason) }),
  }[state];
  setStatus(byId(container), byId(output), waiting ? "off" : state, words);
}

/** A chat line if it looks like one; anything else the room receives is shown as the event it is. */
function toEntry(event, args) {
  const [first] = args;
  const at = Date.now();
  if (event === "chat" && first && typeof first.text === "string") {
    return { name: String(first.name ?? t("somebody")), text: first.text, at: Number(first.at) || at };
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
