// The right half: the same room as Server-Sent Events, shown as it comes off the wire.

import { showState } from "./chat.js";
import { followCommand } from "./command.js";
import { byId, clock, el } from "./dom.js";
import { follow } from "./eventstream.js";
import { number, t } from "./i18n.js";
import { apiKey, authorization } from "./key.js";
import { createLog } from "./log.js";
import { wantsKey } from "./words.js";

/**
 * @param onEvent called for every event that arrives
 * @param askKey  called with the reason when the node wants the key
 */
export function createStream(onEvent, askKey) {
  const log = createLog(byId("sse-log"), byId("sse-empty"), renderEvent);
  const button = byId("sse-switch");
  let stream = null;
  let on = false;
  let count = 0;
  let room = "";

  function changed(state, reason) {
    on = state !== "off" && state !== "refused";
    showState("sse-status", "sse-state", state, reason);
    button.textContent = on ? t("Disconnect") : t("Connect");
    if (state === "refused" && wantsKey(reason)) askKey(reason);
  }

  function open() {
    stream?.close();
    const url = `/v1/events?${new URLSearchParams({ room })}`;
    byId("sse-curl").textContent = followCommand(location.origin + url, apiKey() !== "");
    stream = follow({
      url,
      headers: authorization,
      onState: changed,
      onEvent(event) {
        count++;
        byId("sse-count").textContent = number(count);
        byId("sse-last").textContent = event.id || "–";
        log.push({ ...event, at: Date.now() });
        onEvent();
      },
    });
  }

  button.addEventListener("click", () => (on ? stream.close() : open()));
  return {
    /** Follows another room. */
    open(to) {
      room = to;
      log.clear();
      open();
    },
    /** Connects anew, with the key the visitor has given meanwhile. */
    reconnect: open,
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
