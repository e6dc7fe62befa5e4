import assert from "node:assert/strict";
import { test } from "node:test";
import { ACK, CONNECT, CONNECT_ERROR, EVENT, createDecoder, encode } from "../page/js/packets.js";

function decode(...messages) {
  const packets = [];
  const decoder = createDecoder((packet) => packets.push(packet));
  for (const message of messages) typeof message === "string" ? decoder.text(message) : decoder.binary(message);
  return packets;
}

test("packets are written as the protocol has them", () => {
  assert.equal(encode({ type: CONNECT }), "0");
  assert.equal(encode({ type: CONNECT, data: { token: "k" } }), '0{"token":"k"}');
  assert.equal(encode({ type: EVENT, id: 12, data: ["a", 1, null] }), '212["a",1,null]');
});

test("packets are read as the protocol has them", () => {
  const packet = (type, data, id) => [{ type, id, data }];
  assert.deepEqual(decode('0{"sid":"x"}'), packet(CONNECT, { sid: "x" }));
  assert.deepEqual(decode('4{"message":"no","data":{"code":"c"}}'), packet(CONNECT_ERROR, { message: "no", data: { code: "c" } }));
  assert.deepEqual(decode('2["chat",{"a":"1-2,3"}]'), packet(EVENT, ["chat", { a: "1-2,3" }]));
  assert.deepEqual(decode('2/admin,7["x"]'), packet(EVENT, ["x"], 7));
  assert.deepEqual(decode("37[]"), packet(ACK, [], 7));
  assert.deepEqual(decode("30[[1]]"), packet(ACK, [[1]], 0));
});

test("attachments take the place of their placeholders", () => {
  const [one, two] = [new ArrayBuffer(1), new ArrayBuffer(2)];
  const head = '52-3["e",{"a":{"_placeholder":true,"num":1}},[{"_placeholder":true,"num":0}],"_placeholder"]';
  assert.deepEqual(decode(head), []);
  const [packet] = decode(head, one, two);
  assert.deepEqual(packet, { type: EVENT, id: 3, data: ["e", { a: two }, [one], "_placeholder"] });
  assert.equal(packet.data[1].a, two);
});

test("what is no packet is an error", () => {
  for (const messages of [["9"], [""], ["2"], ['2{"a":1}'], ['2["a"'], [new ArrayBuffer(1)], ['51-["e"]', "2[1]"],
    ['51-["e",{"_placeholder":true,"num":1}]', new ArrayBuffer(1)]]) {
    assert.throws(() => decode(...messages), String(messages));
  }
});
