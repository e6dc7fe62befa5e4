// The official adapter over Redis' sharded Pub/Sub, which has no emitter. The query of the URL says in which mode.
import { createShardedAdapter } from "@socket.io/redis-adapter";
import { createClient, createCluster } from "redis";
import { say } from "../lines.mjs";

export const join = async (address) => {
  const url = new URL(address);
  const subscriptionMode = url.searchParams.get("mode") ?? "dynamic";
  const cluster = url.searchParams.has("cluster");
  url.search = "";
  const pub = cluster ? createCluster({ rootNodes: [{ url: url.href }] }) : createClient({ url: url.href });
  const sub = pub.duplicate();
  for (const redis of [pub, sub]) {
    redis.setMaxListeners(0);
    redis.on("error", (error) => say({ state: "broker error", detail: error.message }));
  }
  await Promise.all([pub.connect(), sub.connect()]);
  return {
    adapter: createShardedAdapter(pub, sub, { subscriptionMode }),
    close: () => Promise.all([pub.close(), sub.close()]),
  };
};
