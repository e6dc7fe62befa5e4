// Who is here: the rooms of this node, the members of the visitor's room with a button that sends each away, and the nodes.

import { byId, el, say } from "./dom.js";
import { refusal } from "./eventstream.js";
import { number, t } from "./i18n.js";
import { authorization } from "./key.js";
import { Refusal } from "./socketio.js";
import { explain, wantsKey } from "./words.js";

const EVERY = 2000;
const PATIENCE = 5000;

async function api(path, options = {}) {
  const response = await fetch(path, {
    ...options,
    headers: { ...options.headers, ...authorization() },
    signal: AbortSignal.timeout(PATIENCE),
  }).catch(() => { throw new Refusal("unreachable"); });
  if (!response.ok) {
    const { code, message } = await refusal(response);
    throw new Refusal(code, message);
  }
  return response.json();
}

/**
 * @param who    { room }, read whenever needed
 * @param me     gives the id of the visitor's own socket
 * @param onRoom called with the room the visitor chooses
 */
export function startMembers(who, me, onRoom) {
  const problem = byId("here-problem");
  let shown = "";
  let refused = false;

  async function poll() {
    if (document.hidden || refused) return;
    const room = who.room;
    try {
      const [rooms, members, cluster] = await Promise.all([
        api("/v1/rooms"),
        api(`/v1/members?${new URLSearchParams({ room })}`),
        api("/v1/nodes"),
      ]);
      if (room !== who.room) return;
      // What is the same stays, with the focus on it.
      const now = JSON.stringify([room, me(), rooms, members, cluster]);
      if (now !== shown) {
        show(room, rooms, members);
        showNodes(cluster);
      }
      shown = now;
      say(problem, "");
    } catch (error) {
      refused = wantsKey(error);
      shown = "";
      byId("room-list").replaceChildren();
      byId("member-list").replaceChildren();
      byId("node-list").replaceChildren();
      say(problem, t("Nobody to be seen: {reason}.", { reason: explain(error) }));
    }
  }

  function show(room, { rooms, total }, members) {
    byId("room-list").replaceChildren(...rooms.map((each) => {
      const button = el("button", { type: "button", "aria-pressed": String(each.room === room), title: each.room },
        el("span", { class: "room-name" }, each.room), el("span", { class: "count" }, number(each.members)));
      button.addEventListener("click", () => onRoom(each.room));
      return el("li", {}, button);
    }), ...more(total - rooms.length));
    byId("member-list").replaceChildren(...members.members.map(row), ...more(members.total - members.members.length));
    if (members.total === 0) byId("member-list").append(el("li", { class: "note" }, t("Nobody is in {room} on this node.", { room })));
  }

  /** The nodes of the cluster and those that were; of one node alone the top of the page says enough. */
  function showNodes({ self, nodes, departed = [] }) {
    byId("node-list").replaceChildren(...(nodes.length > 1 ? nodes : []).map(({ id, name, version, draining, load }) =>
      el("li", { "data-testid": "node" },
        el("code", { class: "mono" }, name),
        el("span", { class: "count" }, t("{n} clients", { n: number(load.clients) })),
        ...(id === self ? [el("b", {}, t("this node"))] : []),
        ...(draining ? [el("span", { class: "pill" }, t("about to leave"))] : []),
        el("span", { class: "also" }, version))),
    ...departed.map(({ kind, node, at }) =>
      el("li", { "data-testid": "departed" },
        el("code", { class: "mono" }, node.name),
        el("span", { class: "count" }, t("{n} clients", { n: number(node.load.clients) })),
        el("span", { class: "pill" }, kind === "died" ? t("died") : t("left")),
        el("span", { class: "also" }, new Date(at).toLocaleTimeString()))));
  }

  const more = (n) => (n > 0 ? [el("li", { class: "note" }, t("and {n} more", { n: number(n) }))] : []);

  function row({ id, kind, transport, rooms }) {
    const button = el("button", { type: "button", class: "button quiet small" }, t("Disconnect"));
    button.setAttribute("aria-label", t("Disconnect {id}", { id }));
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const body = JSON.stringify({ member: id });
        await api("/v1/disconnect", { method: "POST", headers: { "Content-Type": "application/json" }, body });
        await poll();
      } catch (error) {
        button.disabled = false;
        say(problem, t("Not disconnected: {reason}.", { reason: explain(error) }));
      }
    });
    const name = kind === "socket" ? "Socket.IO" : "SSE";
    return el("li", { "data-testid": "member" },
      el("span", { class: "pill", "data-kind": kind }, transport ? `${name} · ${transport}` : name),
      el("code", { class: "mono" }, id),
      ...(id === me() ? [el("b", {}, t("you"))] : []),
      el("span", { class: "also" }, rooms.filter((room) => room !== who.room).join(", ")),
      button);
  }

  poll();
  setInterval(poll, EVERY);
  document.addEventListener("visibilitychange", poll);
  return {
    /** Asks again, after a refusal too. */
    retry() {
      refused = false;
      poll();
    },
  };
}
