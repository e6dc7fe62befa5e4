// The strip of counters: what the node says of itself every two seconds, drawn over the last two minutes.

import { byId, el, say } from "./dom.js";
import { createSpark } from "./spark.js";

const EVERY = 2000;
const COUNTERS = [
  { key: "connections", label: "Connections" },
  { key: "sockets", label: "Sockets", tone: "sio" },
  { key: "streams", label: "Streams", tone: "sse" },
  { key: "rooms", label: "Rooms" },
  { key: "broadcasts", label: "Broadcasts", rate: true },
  { key: "delivered", label: "Delivered", rate: true },
];

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = (value) => (value < 100_000 ? value.toLocaleString("en") : compact.format(value));

/** A duration in its greatest unit: how long exactly a node has been up, nobody asks. */
function duration(seconds) {
  const units = [[86_400, "d"], [3600, "h"], [60, "min"]];
  const [size, unit] = units.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** @param authorization makes the headers that prove the visitor's key, if there is one */
export function startStats(authorization) {
  const tiles = COUNTERS.map(createTile);
  let before = null;
  let refused = false;

  async function poll() {
    if (document.hidden || refused) return;
    const note = byId("counters-note");
    try {
      const response = await fetch("/v1/stats", { headers: authorization() });
      refused = response.status === 401;
      if (refused) throw new Error("this node wants its API key, which the publish box has a field for");
      if (!response.ok) throw new Error(`this node answers ${response.status} to GET /v1/stats`);
      const stats = await response.json();
      const now = performance.now();
      byId("node-id").textContent = stats.node ?? "–";
      byId("node-mode").textContent = stats.cluster === "redis" ? "Redis" : "single node";
      byId("node-uptime").textContent = duration(stats.uptime_seconds ?? 0);
      for (const tile of tiles) tile.update(stats, before, before ? (now - before.at) / 1000 : 0);
      before = { ...stats, at: now };
      say(note, "");
    } catch (error) {
      say(note, `No counters: ${error.message}.`);
    }
  }

  poll();
  setInterval(poll, EVERY);
  document.addEventListener("visibilitychange", poll);
  return {
    /** Asks again after a refusal. */
    retry() {
      refused = false;
      poll();
    },
  };
}

function createTile({ key, label, rate, tone }) {
  const value = el("span", { class: "counter-value", "data-testid": `counter-${key}` }, "–");
  const change = el("span", { class: "counter-rate" });
  const spark = createSpark();
  const tile = el("li", tone ? { "data-tone": tone } : {}, el("span", { class: "counter-label" }, label), value, change, spark.svg);
  byId("counters").append(tile);
  return {
    update(stats, before, seconds) {
      const current = Number(stats[key] ?? 0);
      value.textContent = number(current);
      if (!rate) return spark.push(current);
      // A node that was restarted counts from zero again; that is no negative rate.
      const perSecond = before && seconds > 0 ? Math.max(0, (current - before[key]) / seconds) : 0;
      change.textContent = perSecond > 0 ? `${compact.format(perSecond)}/s` : "";
      return spark.push(perSecond);
    },
  };
}
