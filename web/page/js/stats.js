// The strip of counters: what the node says of itself every two seconds, drawn over the last two minutes.

import { byId, el, say } from "./dom.js";
import { refusal } from "./eventstream.js";
import { number, t } from "./i18n.js";
import { createSpark } from "./spark.js";
import { Refusal } from "./socketio.js";
import { explain, wantsKey } from "./words.js";

const EVERY = 2000;
const PATIENCE = 5000;

/** What joins a node to others, by the names it says. */
const broker = (name) => ({ redis: "Redis", postgres: "PostgreSQL", mongodb: "MongoDB", local: t("this machine"), none: t("single node") })[name] ?? name;

/** A duration in its greatest unit: how long exactly a node has been up, nobody asks. */
function duration(seconds) {
  const units = [[86_400, t("{n} d")], [3600, t("{n} h")], [60, t("{n} min")]];
  const [size, text] = units.find(([size]) => seconds >= 2 * size) ?? [1, t("{n} s")];
  return text.replace("{n}", Math.floor(seconds / size));
}

/** @param authorization makes the headers that prove the visitor's key, if there is one */
export function startStats(authorization) {
  const tiles = [
    { key: "connections", label: t("Connections") },
    { key: "sockets", label: t("Sockets"), tone: "sio" },
    { key: "streams", label: t("Streams"), tone: "sse" },
    { key: "rooms", label: t("Rooms") },
    { key: "broadcasts", label: t("Broadcasts"), rate: true },
    { key: "delivered", label: t("Delivered"), rate: true },
  ].map(createTile);
  let before = null;
  let refused = false;
  let asking = false;

  async function read() {
    const response = await fetch("/v1/stats", { headers: authorization(), signal: AbortSignal.timeout(PATIENCE) })
      .catch(() => { throw new Refusal("unreachable"); });
    if (!response.ok) {
      const { code, message } = await refusal(response);
      throw new Refusal(code, message);
    }
    return response.json();
  }

  async function poll() {
    if (document.hidden || refused || asking) return;
    asking = true;
    try {
      const stats = await read();
      const now = performance.now();
      facts(stats.node, broker(stats.cluster), duration(stats.uptime_seconds ?? 0));
      for (const tile of tiles) tile.update(stats, before, before ? (now - before.at) / 1000 : 0);
      before = { ...stats, at: now };
      dead(false);
      say(byId("counters-note"), "");
    } catch (error) {
      refused = wantsKey(error);
      before = null;
      dead(true);
      facts("–", "–", "–");
      for (const tile of tiles) tile.blank();
      say(byId("counters-note"), t("No counters: {reason}.", { reason: explain(error) }));
    } finally {
      asking = false;
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

function facts(node, mode, uptime) {
  byId("node-id").textContent = node ?? "–";
  byId("node-id").title = node ?? "";
  byId("node-mode").textContent = mode;
  byId("node-uptime").textContent = uptime;
}

/** Old figures must not look like new ones. */
function dead(is) {
  byId("counters").toggleAttribute("data-dead", is);
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
      change.textContent = perSecond > 0 ? `${number(Math.round(perSecond * 10) / 10)}/s` : "";
      return spark.push(perSecond);
    },
    blank() {
      value.textContent = "–";
      change.textContent = "";
      spark.clear();
    },
  };
}
