// The official Redis emitter, a process that only publishes, driven line by line (see lines.mjs).
//
//	node emitter.mjs redis://127.0.0.1:6379
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { say, serve } from "./lines.mjs";

const redis = createClient({ url: process.argv[2] });
redis.on("error", (error) => say({ state: "redis error", detail: error.message }));
await redis.connect();

const select = ({ namespace = "/", rooms = [], except = [], volatile }) => {
  const to = new Emitter(redis).of(namespace).to(rooms).except(except);
  return volatile ? to.volatile : to;
};

serve(
  {
    emit(params) {
      select(params).emit(params.event, ...(params.args ?? []));
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
  },
  {},
  () => redis.close(),
);
