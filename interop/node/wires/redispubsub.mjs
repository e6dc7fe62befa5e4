// The official adapter and emitter over Redis Pub/Sub. The query of the URL says how they are used: with "specific" response
// channels, with another "parser" for what nodes send each other, and with the parser for "clients" that is msgpack's.
import { decode, encode } from "@msgpack/msgpack";
import { createAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import clientParser from "socket.io-msgpack-parser";
import { say } from "../lines.mjs";

// bytes is a parser: Redis' client takes nothing but a Buffer.
const bytes = { encode: (value) => Buffer.from(encode(value)), decode };

export const join = async (address, requestsTimeout) => {
  const url = new URL(address);
  const publishOnSpecificResponseChannel = url.searchParams.has("specific");
  const parser = url.searchParams.has("parser") ? bytes : undefined;
  const server = url.searchParams.has("clients") ? { parser: clientParser } : {};
  url.search = "";
  const pub = createClient({ url: url.href });
  const sub = pub.duplicate();
  for (const redis of [pub, sub]) {
    redis.setMaxListeners(0); // the adapter of each namespace has some
    redis.on("error", (error) => say({ state: "broker error", detail: error.message }));
  }
  await Promise.all([pub.connect(), sub.connect()]);
  return {
    adapter: createAdapter(pub, sub, { requestsTimeout, publishOnSpecificResponseChannel, parser }),
    emitter: (namespace) => new Emitter(pub, parser && { parser }).of(namespace),
    server,
    close: () => Promise.all([pub.close(), sub.close()]),
  };
};
