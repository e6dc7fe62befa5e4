// A Node.js Socket.IO server with the official Redis adapter, driven line by line (see lines.mjs).
//
//	node node-server.mjs redis://127.0.0.1:6379 [port]
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { encode, say, serve } from "./lines.mjs";

const [redisURL, port = "0"] = process.argv.slice(2);

const pub = createClient({ url: redisURL });
const sub = pub.duplicate();
for (const redis of [pub, sub]) redis.on("error", (error) => say({ state: "redis error", detail: error.message }));
await Promise.all([pub.connect(), sub.connect()]);

const http = createServer();
const io = new Server(http, { adapter: createAdapter(pub, sub, { requestsTimeout: 3000 }) });

const register = (namespace) => {
  namespace.on("connection", (socket) => {
    socket.data = { made: "by node", number: 7 };
    socket.on("join", (room, ack) => (socket.join(room), ack?.()));
    socket.on("leave", (room, ack) => (socket.leave(room), ack?.()));
    socket.on("say", (room, event, ...args) => socket.to(room).emit(event, ...args));
    socket.on("rooms", (ack) => ack([...socket.rooms]));
    socket.on("disconnect", (reason) => say({ client: socket.id, state: "disconnect", detail: reason }));
  });
  namespace.on("greet", (...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
    say({ event: "greet", args: encode(args), ack: ack !== undefined });
    ack?.("node");
  });
};
register(io);
register(io.of("/custom"));

const select = ({ namespace = "/", rooms = [], except = [], volatile, local, timeout }) => {
  let to = io.of(namespace).to(rooms).except(except);
  if (volatile) to = to.volatile;
  if (local) to = to.local;
  if (timeout) to = to.timeout(timeout);
  return to;
};

// The subscriptions are made in the adapter's constructor without being awaited; PING on the same connection is
// answered behind them.
await sub.ping();
await new Promise((resolve) => http.listen(Number(port), "127.0.0.1", resolve));

serve(
  {
    emit(params) {
      select(params).emit(params.event, ...(params.args ?? []));
    },
    burst(params) {
      const { event, args = [], from = 0, count } = params;
      for (let i = from; i < from + count; i++) select(params).emit(event, ...args, i);
    },
    broadcastAck: (params) => select({ timeout: 3000, ...params }).emitWithAck(params.event, ...(params.args ?? [])),
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
    allRooms: async ({ namespace = "/" }) => [...(await io.of(namespace).adapter.allRooms())],
    serverCount: ({ namespace = "/" }) => io.of(namespace).adapter.serverCount(),
    serverSideEmit({ namespace = "/", args = [] }) {
      io.of(namespace).serverSideEmit("greet", ...args);
    },
    serverSideAsk: ({ namespace = "/", args = [] }) => io.of(namespace).serverSideEmitWithAck("greet", ...args),
  },
  { url: `http://127.0.0.1:${http.address().port}` },
  async () => {
    await io.close();
    await Promise.all([pub.close(), sub.close()]);
  },
);
