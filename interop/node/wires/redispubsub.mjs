// The official adapter and emitter over Redis Pub/Sub.
import { createAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { say } from "../lines.mjs";

export const join = async (url, requestsTimeout) => {
  const pub = createClient({ url });
  const sub = pub.duplicate();
  for (const redis of [pub, sub]) {
    redis.setMaxListeners(0); // the adapter of each namespace has some
    redis.on("error", (error) => say({ state: "broker error", detail: error.message }));
  }
  await Promise.all([pub.connect(), sub.connect()]);
  return {
    adapter: createAdapter(pub, sub, { requestsTimeout }),
    emitter: (namespace) => new Emitter(pub).of(namespace),
    close: () => Promise.all([pub.close(), sub.close()]),
  };
};
