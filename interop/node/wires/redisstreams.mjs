// The official adapter over Redis Streams. Its emitter is no package of the registry. The query of the URL says how it is
// used: with "sharded" Pub/Sub, with how many "streams", and that it is a "cluster".
import { setTimeout } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient, createCluster } from "redis";
import { say } from "../lines.mjs";

export const join = async (address) => {
  const url = new URL(address);
  const streamCount = Number(url.searchParams.get("streams") ?? 1);
  const useShardedPubSub = url.searchParams.has("sharded");
  const cluster = url.searchParams.has("cluster");
  url.search = "";
  const redis = cluster ? createCluster({ rootNodes: [{ url: url.href }] }) : createClient({ url: url.href });
  redis.on("error", (error) => say({ state: "broker error", detail: error.message }));
  await redis.connect();
  const waiting = awaitReaders(redis, streamCount);
  const adapter = createAdapter(redis, { streamCount, useShardedPubSub });
  // It begins to read at some time, at the end that a stream has then, and looks for the end anew until there was something:
  // what is appended between is lost. So it is given what is of no namespace.
  while (waiting.count > 0) {
    for (let i = 0; i < streamCount; i++) {
      await redis.xAdd(streamCount === 1 ? "socket.io" : `socket.io-${i}`, "*", { nobody: "" });
    }
    await setTimeout(20);
  }
  return { adapter, close: () => redis.close() };
};

// awaitReaders counts down the connections of the adapter that have read something.
const awaitReaders = (redis, count) => {
  const waiting = { count };
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = () => {
    const client = duplicate();
    const xRead = client.xRead.bind(client);
    client.xRead = async (...args) => {
      const entries = await xRead(...args);
      if (entries) {
        client.xRead = xRead;
        waiting.count--;
      }
      return entries;
    };
    return client;
  };
  return waiting;
};
