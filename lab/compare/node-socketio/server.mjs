// Node.js Socket.IO with the load generator's handlers, as in `interop/server --profile bench`.
//
//	node server.mjs [port] [redis://127.0.0.1:6379 | redis+sharded://127.0.0.1:6379]
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port = "0", redisURL] = process.argv.slice(2);

const http = createServer();
const io = new Server(http);

if (redisURL) {
  const { createClient } = await import("redis");
  const { createAdapter, createShardedAdapter } = await import("@socket.io/redis-adapter");
  const url = redisURL.replace("+sharded", "");
  const pub = createClient({ url });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  io.adapter(url === redisURL ? createAdapter(pub, sub) : createShardedAdapter(pub, sub));
  // The adapter subscribes without waiting; this is answered behind it.
  await sub.ping();
}

io.on("connection", (socket) => {
  socket.on("broadcast", (data) => io.emit("broadcast", data));
  socket.on("echo", (data, ack) => ack(data));
  socket.on("join", (...args) => {
    const ack = args.pop();
    socket.join(args);
    ack();
  });
  socket.on("publish", (room, data) => io.to(room).emit("broadcast", data));
});

http.listen(Number(port), "127.0.0.1", () => console.log(`listening on 127.0.0.1:${http.address().port}`));
