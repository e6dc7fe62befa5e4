// The language the Go tests and these programs speak: one JSON document per line.
//
// In:  {"id":1,"op":"emit",...}
// Out: {"id":1,"result":...} or {"id":1,"error":"..."} once per command, and reports of their own accord:
//      {"client":"a","event":"tick","args":[1]}, {"client":"a","state":"disconnect","detail":"transport close"}.
//
// Bytes travel as {"$bin":"<base64>"}, undefined as {"$undefined":true}.
import { createInterface } from "node:readline";

export const encode = (value) => {
  if (value === undefined) return { $undefined: true };
  if (value instanceof ArrayBuffer) return { $bin: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    return { $bin: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  }
  if (Array.isArray(value)) return value.map(encode);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, encode(member)]));
  }
  return value;
};

export const decode = (value) => {
  if (Array.isArray(value)) return value.map(decode);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$bin === "string") return Buffer.from(value.$bin, "base64");
  if (value.$undefined) return undefined;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, decode(member)]));
};

export const say = (document) => process.stdout.write(JSON.stringify(document) + "\n");

// serve answers the commands on standard input with the functions of ops, in order of arrival but without waiting for
// one another, says what ready returns, and ends the process when standard input closes.
export const serve = (ops, ready = {}, end = () => {}) => {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, op, ...params } = JSON.parse(line);
    try {
      if (!ops[op]) throw new Error(`no such command: ${op}`);
      const result = await ops[op](decode(params));
      say({ id, result: encode(result) });
    } catch (error) {
      say({ id, error: error?.message ?? String(error), result: encode(error?.result ?? error?.responses) });
    }
  });
  lines.on("close", async () => {
    await end();
    process.exit(0);
  });
  say({ ready });
};
