// Socket.IO packets as text and binary WebSocket messages: https://socket.io/docs/v4/socket-io-protocol/.

export const CONNECT = 0;
export const DISCONNECT = 1;
export const EVENT = 2;
export const ACK = 3;
export const CONNECT_ERROR = 4;
const BINARY_EVENT = 5;
const BINARY_ACK = 6;

/** The text of a packet of the root namespace. Its data is JSON: this page sends no binary. */
export function encode({ type, id, data }) {
  return `${type}${id ?? ""}${data === undefined ? "" : JSON.stringify(data)}`;
}

/**
 * Turns messages into packets.
 * @param onPacket is given { type, id, data }; binary values in the data are ArrayBuffers
 */
export function createDecoder(onPacket) {
  let waiting = null; // a packet whose attachments are still to come

  return {
    text(message) {
      if (waiting) throw new Error("text where an attachment had to come");
      const match = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*),?)?(\d+)?/.exec(message);
      if (!match) throw new Error(`no packet: ${message.slice(0, 40)}`);
      const [head, digit, count, , id] = match;
      const type = Number(digit);
      const body = message.slice(head.length);
      const packet = {
        type: type === BINARY_EVENT ? EVENT : type === BINARY_ACK ? ACK : type,
        id: id === undefined ? undefined : Number(id),
        data: body === "" ? undefined : JSON.parse(body),
      };
      if ((packet.type === EVENT || packet.type === ACK) && !Array.isArray(packet.data)) {
        throw new Error("an event or acknowledgement without arguments");
      }
      if (Number(count ?? 0) === 0) return onPacket(packet);
      waiting = { packet, attachments: [], count: Number(count) };
    },

    binary(buffer) {
      if (!waiting) throw new Error("an attachment that belongs to nothing");
      waiting.attachments.push(buffer);
      if (waiting.attachments.length < waiting.count) return;
      const { packet, attachments } = waiting;
      waiting = null;
      onPacket({ ...packet, data: fill(packet.data, attachments) });
    },
  };
}

/** Puts attachments in the place of their placeholders. */
function fill(value, attachments) {
  if (Array.isArray(value)) return value.map((item) => fill(item, attachments));
  if (value === null || typeof value !== "object") return value;
  if (value._placeholder === true) {
    const attachment = attachments[value.num];
    if (attachment === undefined) throw new Error("a placeholder for an attachment that did not come");
    return attachment;
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, attachments)]));
}
