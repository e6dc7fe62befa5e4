// A Node.js node of a mixed cluster with an official adapter, driven line by line (see lines.mjs): the twin of
// ../gopeer, with the same commands, reports and events.
//
//	node node-server.mjs WIRE URL [recovery]
//
// WIRE names a module of wires/: its join(url, requestsTimeout) returns {adapter, close}, where the official packages have an
// emitter, emitter(namespace), and server, further options of the Server; subscribed() waits until rooms just joined are heard.
import { createServer } from "node:http";
import { setTimeout } from "node:timers/promises";
import { Server } from "socket.io";
import { encode, say, serve } from "./lines.mjs";

const [name, url, recovery] = process.argv.slice(2);

// How long the server's own questions wait.
const askTimeout = 3000;

const wire = await (await import(`./wires/${name}.mjs`)).join(url, askTimeout);
const http = createServer();
const recovering = recovery && { connectionStateRecovery: {} };
const io = new Server(http, { adapter: wire.adapter, ...wire.server, ...recovering });

const register = (namespace) => {
  namespace.on("connection", (socket) => {
    if (!socket.recovered) socket.data = { made: "by node", number: 7 };
    socket.on("join", async (room, ack) => {
      socket.join(room);
      await wire.subscribed?.();
      ack?.();
    });
    socket.on("leave", (room, ack) => (socket.leave(room), ack?.()));
    socket.on("say", (room, event, ...args) => socket.to(room).emit(event, ...args));
    socket.on("rooms", (ack) => ack([...socket.rooms]));
    socket.on("question", async (room, event, ack) => ack(await socket.to(room).timeout(askTimeout).emitWithAck(event)));
  });
};
const greet = (namespace) => {
  namespace.on("greet", (...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
    say({ client: namespace.name, event: "greet", args: encode(args), ack: ack !== undefined });
    ack?.("node");
  });
};
// Namespaces that are made when their first client comes.
register(io.of(/^\/dynamic-[^/]+$/));
const opened = new Set();

const select = ({ by, namespace, rooms = [], except = [], volatile, local, timeout }) => {
  let to = (by === "emitter" ? wire.emitter(namespace) : io.of(namespace)).to(rooms).except(except);
  if (volatile) to = to.volatile;
  if (local) to = to.local;
  if (timeout) to = to.timeout(timeout);
  return to;
};

const remote = (run) => async ({ socket: id, ...params }) => {
  const [socket, ...others] = await io.of(params.namespace).in(id).fetchSockets();
  if (!socket || others.length > 0) throw new Error(`no socket ${id}, or more than one`);
  return run(socket, params);
};

await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));

serve(
  {
    open({ namespace }) {
      if (opened.has(namespace)) return;
      opened.add(namespace);
      const dynamic = namespace.startsWith("/dynamic-");
      if (!dynamic) register(io.of(namespace));
      greet(io.of(namespace));
    },
    emit(params) {
      select(params).emit(params.event, ...(params.args ?? []));
    },
    async burst(params) {
      const { event, args = [], from = 0, count, rate } = params;
      const began = Date.now();
      for (let i = from; i < from + count; i++) {
        const early = rate && began + (1000 * (i - from)) / rate - Date.now();
        if (early > 1) await setTimeout(early);
        select(params).emit(event, ...args, i);
      }
    },
    async broadcastAck(params) {
      try {
        return { answers: await select({ timeout: askTimeout, ...params }).emitWithAck(params.event, ...(params.args ?? [])) };
      } catch (error) {
        throw Object.assign(error, { result: { answers: error.responses } });
      }
    },
    socketsJoin(params) {
      select(params).socketsJoin(params.change);
    },
    socketsLeave(params) {
      select(params).socketsLeave(params.change);
    },
    disconnectSockets(params) {
      select(params).disconnectSockets(params.close ?? false);
    },
    fetchSockets: async (params) =>
      (await select(params).fetchSockets()).map(({ id, rooms, handshake, data }) => ({
        id,
        rooms: [...rooms],
        handshake,
        data,
      })),
    allSockets: async (params) => [...(await select(params).allSockets())],
    allRooms: async ({ namespace }) => [...(await io.of(namespace).adapter.allRooms())],
    serverCount: ({ namespace }) => io.of(namespace).adapter.serverCount(),
    serverSideEmit({ by, namespace, event, args = [] }) {
      (by === "emitter" ? wire.emitter(namespace) : io.of(namespace)).serverSideEmit(event, ...args);
    },
    serverSideAsk: ({ namespace, event, args = [] }) => io.of(namespace).serverSideEmitWithAck(event, ...args),
    socketAsk: ({ namespace, socket, event, args = [] }) =>
      io.of(namespace).sockets.get(socket).timeout(askTimeout).emitWithAck(event, ...args),
    remoteJoin: remote((socket, { change }) => socket.join(change)),
    remoteLeave: remote((socket, { change }) => Promise.all(change.map((room) => socket.leave(room)))),
    remoteEmit: remote((socket, { event, args = [] }) => void socket.emit(event, ...args)),
    remoteAsk: remote((socket, { event, args = [] }) => socket.timeout(askTimeout).emitWithAck(event, ...args)),
    remoteDisconnect: remote((socket, { close = false }) => void socket.disconnect(close)),
  },
  { url: `http://127.0.0.1:${http.address().port}`, kind: "node", emits: wire.emitter !== undefined },
  async () => {
    await io.close();
    await wire.close();
  },
);
