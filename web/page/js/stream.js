// The right half: the same room over EventSource, shown as it comes off the wire.

import { followCommand } from "./command.js";
import { byId, clock, el, setStatus } from "./dom.js";
import { createLog } from "./log.js";

/** @param onEvent called for every event that arrives */
export function createStream(onEvent) {
  const status = byId("sse-status");
  const log = createLog(byId("sse-log"), byId("sse-empty"), renderEvent);
  // An EventSource hears only the names it was told to listen for.
  const names = new Set(["message", "chat"]);
  let source = null;
  let count = 0;

  function receive(event) {
    count++;
    byId("sse-count").textContent = count.toLocaleString("en");
    byId("sse-last").textContent = event.lastEventId || "–";
    log.push({ id: event.lastEventId, event: event.type, data: event.data, at: Date.now() });
    onEvent();
  }

  return {
    open(room) {
      source?.close();
      log.clear();
      const path = `/v1/events?${new URLSearchParams({ room })}`;
      byId("sse-curl").textContent = followCommand(location.origin + path);
      setStatus(status, byId("sse-state"), "connecting");
      source = new EventSource(path);
      source.onopen = () => setStatus(status, byId("sse-state"), "connected");
      source.onerror = (event) => {
        const gone = event.target.readyState === EventSource.CLOSED;
        setStatus(status, byId("sse-state"), "lost", gone ? "refused by the node" : "lost, trying again");
      };
      for (const name of names) source.addEventListener(name, receive);
    },
    /** Listens for events of this name from now on. */
    listenFor(name) {
      if (names.has(name) || !name) return;
      names.add(name);
      source?.addEventListener(name, receive);
    },
  };
}

function renderEvent({ id, event, data, at }) {
  const line = (key, value) => el("span", { class: "line" }, el("span", { class: "key" }, `${key}:`), ` ${value}`);
  return el("li", { "data-testid": "sse-event" },
    ...(id ? [line("id", id)] : []),
    line("event", event),
    ...data.split("\n").map((part) => line("data", part)),
    el("time", { datetime: new Date(at).toISOString() }, clock(at, true)),
  );
}
