// The official adapter over Redis Streams. Its emitter is no package of the registry.
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { say } from "../lines.mjs";

export const join = async (url) => {
  const redis = createClient({ url });
  redis.on("error", (error) => say({ state: "broker error", detail: error.message }));
  await redis.connect();
  return { adapter: createAdapter(redis), close: () => redis.close() };
};
