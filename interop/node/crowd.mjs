// A crowd of official clients that count: every event "n" carries the number that follows that of the one before. They
// are cut at random, as networks do it, and find out themselves how to go on.
import { io } from "socket.io-client";
import { serve } from "./lines.mjs";

const crowd = [];
let cutting = false;
let cuts = 0;

const grow = (url, transports, reconnectionDelay, room) =>
  new Promise((resolve, reject) => {
    const socket = io(url, {
      forceNew: true, transports, reconnectionDelay, reconnectionDelayMax: 500, timeout: 60000,
    });
    const one = { socket, next: 0, lost: 0, twice: 0, connects: 0, recovered: 0, fresh: false, subscribed: false };
    socket.on("connect", () => {
      one.connects++;
      if (socket.recovered) one.recovered++;
      else one.subscribed = false;
      if (room && !one.subscribed) {
        one.fresh = one.connects > 1; // it is told so, and goes on with whatever comes next
        socket.emit("subscribe", room, () => ((one.subscribed = true), resolve()));
      }
      if (cutting && Math.random() < 0.2) setTimeout(() => cut(one), Math.random() * 20); // and again at once
      if (!room) resolve();
    });
    socket.on("n", (n) => {
      if (one.fresh && n > one.next) one.next = n;
      one.fresh = false;
      if (n < one.next) one.twice++;
      else {
        one.lost += n - one.next;
        one.next = n + 1;
      }
    });
    socket.on("connect_error", (error) => one.connects === 0 && reject(error));
    crowd.push(one);
  });

// cut breaks a connection: neatly, or in the middle of whatever is on its way.
const cut = (one) => {
  const engine = one.socket.io.engine;
  if (!engine || engine.readyState !== "open") return;
  cuts++;
  const roll = Math.random();
  const raw = engine.transport.ws?._socket;
  if (raw && roll < 0.5) raw.destroy();
  else if (roll < 0.75) engine.transport.onError("cut"); // a poll that waits is answered to nobody
  else engine.close();
};

serve({
  // join has so many connect, and subscribe to a room of `peal serve` if one is named.
  async join({ url, count, transports, reconnectionDelay = 20, room }) {
    const joined = [];
    for (let i = 0; i < count; i++) joined.push(grow(url, transports, reconnectionDelay, room));
    await Promise.all(joined);
  },

  // cut breaks connections for so long, each about every `every` ms.
  async cut({ ms, every }) {
    cutting = true;
    const until = Date.now() + ms;
    while (Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, every / crowd.length));
      cut(crowd[Math.floor(Math.random() * crowd.length)]);
    }
    cutting = false;
    return cuts;
  },

  // tally waits until everybody has been told the last number.
  async tally({ last, ms }) {
    const until = Date.now() + ms;
    while (crowd.some((one) => one.next <= last) && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const sum = (of) => crowd.reduce((n, one) => n + of(one), 0);
    return {
      clients: crowd.length,
      behind: crowd.filter((one) => one.next <= last).length,
      lost: sum((one) => one.lost), twice: sum((one) => one.twice),
      reconnects: sum((one) => one.connects - 1), recovered: sum((one) => one.recovered),
    };
  },
});
