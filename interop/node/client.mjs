// Any number of official socket.io-client clients, and of EventSources, driven line by line (see lines.mjs).
import { NodeWebSocket, NodeXHR } from "engine.io-client";
import { EventSource } from "eventsource";
import { io } from "socket.io-client";
import msgpackParser from "socket.io-msgpack-parser";
import { encode, say, serve } from "./lines.mjs";

const clients = new Map();

const client = (name) => {
  const socket = clients.get(name);
  if (!socket) throw new Error(`no client ${name}`);
  return socket;
};

// held has the function that lets a held client's upgrade begin.
const held = new Map();

const holdUpgrade = (name) => {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  held.set(name, { release });
  return class extends NodeWebSocket {
    doOpen() {
      released.then(() => super.doOpen());
    }
  };
};

const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

const transport = (socket) => socket.io.engine?.transport?.name;

const watch = (name, socket) => {
  socket.on("connect", () => say({ client: name, state: "connect", detail: socket.id }));
  socket.on("disconnect", (reason) => say({ client: name, state: "disconnect", detail: reason }));
  socket.on("connect_error", (error) => say({ client: name, state: "connect_error", detail: error.message }));
  socket.io.on("reconnect", (attempt) => say({ client: name, state: "reconnect", detail: String(attempt) }));
  socket.io.on("open", () => {
    socket.io.engine.once("upgrade", (to) => say({ client: name, state: "upgrade", detail: to.name }));
  });
  socket.onAny((event, ...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
    say({ client: name, event, args: encode(args), ack: ack !== undefined });
    // An acknowledgement says who answered and what it was asked. The event "silent" never gets one, and "silent at x" none
    // of those whose name begins with x.
    if (ack && event !== "silent" && event !== `silent at ${name[0]}`) ack({ client: name, args });
  });
};

serve({
  // connect waits for the socket to be connected, or fails with the reason of the refusal.
  // With `hold`, the connection stays on polling until straddle lets the upgrade begin. With `msgpack`, packets are MessagePack.
  async connect({ client: name, url, options = {}, wait = true, hold = false, msgpack = false }) {
    if (msgpack) options.parser = msgpackParser;
    if (hold) options.transports = [NodeXHR, holdUpgrade(name)];
    const socket = io(url, { forceNew: true, autoConnect: false, reconnectionDelay: 50, ...options });
    clients.set(name, socket);
    watch(name, socket);
    const connected = new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
    });
    // The refusal is also reported as a state; a test that does not wait reads it there.
    connected.catch(() => {});
    socket.connect();
    if (wait) await connected;
    return { id: socket.id, transport: transport(socket) };
  },

  // share opens another namespace over the connection of an existing client.
  async share({ client: name, of, namespace, auth }) {
    const socket = client(of).io.socket(namespace, { auth });
    clients.set(name, socket);
    watch(name, socket);
    const connected = new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
    });
    socket.connect();
    await connected;
    return { id: socket.id };
  },

  emit({ client: name, event, args = [], volatile = false }) {
    (volatile ? client(name).volatile : client(name)).emit(event, ...args);
  },

  // ask emits and returns all arguments of the acknowledgement.
  ask({ client: name, event, args = [], timeout = 10000 }) {
    return new Promise((resolve, reject) => {
      client(name)
        .timeout(timeout)
        .emit(event, ...args, (error, ...answer) => (error ? reject(error) : resolve(answer)));
    });
  },

  // burst emits `event` with args and then one number each, from..from+count.
  burst({ client: name, event, args = [], from = 0, count }) {
    for (let i = from; i < from + count; i++) client(name).emit(event, ...args, i);
  },

  // publish sends `count` publications to a node of `peal serve` and waits for all of their replies, with `inTurn` for each
  // before the next is sent. Publication i has the number i behind its arguments.
  async publish({ client: name, publication, from = 0, count = 1, inTurn = false, timeout = 10000 }) {
    const args = publication.args ?? [];
    const numbered = (i) => (count === 1 ? publication : { ...publication, args: [...args, i] });
    const replies = [];
    for (let i = from; i < from + count; i++) {
      replies.push(client(name).timeout(timeout).emitWithAck("publish", numbered(i)));
      if (inTurn) await replies.at(-1);
    }
    for (const reply of await Promise.all(replies)) {
      if (reply?.error) throw new Error(`${reply.error.code}: ${reply.error.message}`);
    }
  },

  // straddle emits `count` numbered messages, or publications to a node of `peal serve`, across the transport upgrade of
  // a client connected with `hold`: a quarter over polling, then one per turn of the event loop while the upgrade goes
  // on, the last quarter not before it is done. It returns how many had been sent when it was.
  async straddle({ client: name, event, count, publication }) {
    const socket = client(name);
    const numbered = (i) => (publication ? { ...publication, args: [i] } : i);
    if (transport(socket) !== "polling") throw new Error(`already on ${transport(socket)}`);
    let sent = 0;
    let sentBefore;
    const upgraded = once(socket.io.engine, "upgrade").then(() => (sentBefore = sent));
    for (; sent < count / 4; sent++) socket.emit(event, numbered(sent));
    held.get(name).release();
    while (sent < count) {
      if (sentBefore === undefined && sent >= (count * 3) / 4) await upgraded;
      socket.emit(event, numbered(sent++));
      await new Promise(setImmediate);
    }
    return { sentBefore, transport: transport(socket) };
  },

  // upgraded waits until the client's transport is WebSocket.
  async upgraded({ client: name }) {
    const engine = client(name).io.engine;
    if (engine.transport.name !== "websocket") await once(engine, "upgrade");
    return transport(client(name));
  },

  state({ client: name }) {
    const socket = client(name);
    return { id: socket.id, connected: socket.connected, transport: transport(socket), recovered: socket.recovered, pid: socket._pid };
  },

  disconnect({ client: name }) {
    client(name).disconnect();
  },

  // drop ends the connection below Socket.IO's feet, as a broken network does.
  drop({ client: name }) {
    client(name).io.engine.close();
  },

  // move connects a client that has lost its connection, and does not connect by itself, to another node.
  async move({ client: name, url }) {
    const socket = client(name);
    const connected = new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
    });
    socket.io.uri = url;
    socket.connect();
    await connected;
    return { id: socket.id, recovered: socket.recovered };
  },

  // open waits for an event stream to be open. Every event named in `events` is reported with its data, and as arguments if
  // that is JSON, and with its id.
  open({ client: name, url, events = ["message"] }) {
    const source = new EventSource(url);
    for (const event of events) {
      source.addEventListener(event, ({ data, lastEventId }) => {
        let args;
        try {
          args = JSON.parse(data);
        } catch {
          // then it is text
        }
        say({ client: name, event, args, data, lastEventId });
      });
    }
    return new Promise((resolve, reject) => {
      source.addEventListener("open", () => {
        say({ client: name, state: "open" });
        resolve();
      });
      source.addEventListener("error", (error) => {
        say({ client: name, state: "error", detail: error.message ?? String(error.code ?? "") });
        // EventSource retries by itself; only a refusal, which closes it, ends the attempt.
        if (source.readyState === EventSource.CLOSED) reject(new Error(`${error.code} ${error.message}`));
      });
    });
  },
});
