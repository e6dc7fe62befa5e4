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
  // The adapter subscribes to a room and does not wait for it: who is told of a join would not hear the room yet.
  const subscribe = sub.sSubscribe.bind(sub);
  const subscribing = new Set();
  sub.sSubscribe = (...args) => {
    const done = subscribe(...args);
    subscribing.add(done);
    const forget = () => subscribing.delete(done);
    done.then(forget, forget);
    return done;
  };
  return {
    adapter: createShardedAdapter(pub, sub, { subscriptionMode }),
    subscribed: () => Promise.all(subscribing),
    close: () => Promise.all([pub.close(), sub.close()]),
  };
};
