// A Socket.IO client of one namespace over WebSocket, as large as this page needs it. Programs want the official one,
// which has polling, binary arguments and much else: a node serves it at /socket.io/socket.io.js if it was built in.

import { ACK, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, createDecoder, encode } from "./packets.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;
const OPENS_WITHIN = 10_000;
const SENT_AWAY_FOR = 2000;
/** Engine.IO's packet types: https://socket.io/docs/v4/engine-io-protocol/. */
const OPEN = "0";
const PING = "2";
const PONG = "3";
const MESSAGE = "4";

/**
 * Connects, and connects again whenever the connection is lost, until disconnect is called or the server refuses.
 * @param url     of the WebSocket: ws://host/socket.io/
 * @param auth    called at each attempt for what to prove oneself with
 * @param onState called with "connecting", "connected", "lost" (trying again), "refused" or "off", and for lost and
 *                refused with { code, message } of the reason
 * @param onEvent called with the name of each event and its arguments
 */
export function createSocket({ url, auth, onState, onEvent }) {
  let socket = null; // the WebSocket; messages of earlier ones are nobody's
  let wanted = false;
  let sid = "";
  let failures = 0;
  let nextID = 0;
  let retry = 0; // timers
  let silence = 0;
  const asked = new Map(); // acknowledgement id → { resolve, reject, timer }

  function open() {
    const ws = new WebSocket(`${url}?EIO=4&transport=websocket`);
    const decoder = createDecoder((packet) => receive(ws, packet));
    let patience = OPENS_WITHIN;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => lose(ws, "silent"), patience);
    };
    socket = ws;
    ws.binaryType = "arraybuffer";
    ws.onmessage = ({ data }) => {
      if (ws !== socket) return;
      heard();
      try {
        if (typeof data !== "string") decoder.binary(data);
        else if (data[0] === OPEN) {
          const { pingInterval, pingTimeout } = JSON.parse(data.slice(1));
          patience = pingInterval + pingTimeout;
          heard();
          ws.send(MESSAGE + encode({ type: CONNECT, data: auth() }));
        } else if (data[0] === PING) ws.send(PONG + data.slice(1));
        else if (data[0] === MESSAGE) decoder.text(data.slice(1));
      } catch (error) {
        console.error(error);
        lose(ws, "unreadable");
      }
    };
    ws.onclose = () => lose(ws, sid ? "closed" : "unreachable");
    heard();
    onState("connecting");
  }

  function receive(ws, { type, id, data }) {
    switch (type) {
      case CONNECT:
        sid = data?.sid ?? "";
        failures = 0;
        return onState("connected");
      case CONNECT_ERROR:
        wanted = false;
        drop();
        return onState("refused", { code: data?.data?.code, message: data?.message ?? String(data) });
      case DISCONNECT:
        return lose(ws, "sent away", SENT_AWAY_FOR);
      case EVENT:
        return onEvent(data[0], data.slice(1));
      case ACK: {
        const question = asked.get(id);
        asked.delete(id);
        clearTimeout(question?.timer);
        return question?.resolve(data[0]);
      }
      default:
        return undefined;
    }
  }

  /** Forgets the WebSocket and whoever waits for an answer through it. */
  function drop() {
    const ws = socket;
    socket = null;
    sid = "";
    clearTimeout(silence);
    clearTimeout(retry);
    for (const { reject, timer } of asked.values()) {
      clearTimeout(timer);
      reject(new Refusal("not_connected"));
    }
    asked.clear();
    ws?.close();
  }

  function lose(ws, code, atLeast = 0) {
    if (ws !== socket) return;
    drop();
    if (!wanted) return;
    const pause = Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE);
    failures++;
    // Up to half more, so that the pages of a node that went do not all come back at once.
    retry = setTimeout(open, Math.max(atLeast, pause * (1 + Math.random() / 2)));
    onState("lost", { code });
  }

  return {
    get connected() {
      return sid !== "";
    },
    get id() {
      return sid;
    },
    connect() {
      if (wanted) return;
      wanted = true;
      failures = 0;
      open();
    },
    disconnect() {
      if (socket && sid) socket.send(MESSAGE + encode({ type: DISCONNECT }));
      wanted = false;
      drop();
      onState("off");
    },
    /** Sends an event and resolves with the reply. A refusal, or none within the time, is a {@link Refusal}. */
    ask(timeout, ...event) {
      if (!sid) return Promise.reject(new Refusal("not_connected"));
      const id = nextID++;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          asked.delete(id);
          reject(new Refusal("no_reply"));
        }, timeout);
        asked.set(id, { resolve, reject, timer });
        socket.send(MESSAGE + encode({ type: EVENT, id, data: event }));
      }).then((reply) => {
        if (reply?.error) throw new Refusal(reply.error.code, reply.error.message);
        return reply;
      });
    },
  };
}

/** Why something was not done: a code, and the words of the server if they are its. */
export class Refusal extends Error {
  constructor(code, message = "") {
    super(message || code);
    this.name = "Refusal";
    this.code = code;
    this.said = message;
  }
}
