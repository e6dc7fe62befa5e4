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

export function startStats() {
  const tiles = COUNTERS.map(createTile);
  let before = null;

  async function poll() {
    if (document.hidden) return;
    const note = byId("counters-note");
    try {
      const response = await fetch("/v1/stats");
      if (!response.ok) throw new Error(`this node answers ${response.status} to GET /v1/stats`);
      const stats = await response.json();
      const now = performance.now();
      byId("node-id").textContent = stats.node ?? "–";
      byId("node-mode").textContent = stats.cluster === "redis" ? "Redis" : "single node";
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
