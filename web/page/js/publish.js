// The publish box: one request, sent over HTTP or over the page's own socket, with the command that does the same.

import { publishCode, publishCommand } from "./command.js";
import { byId, say } from "./dom.js";

const list = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

/**
 * @param ask      sends an event over the socket and resolves with its reply
 * @param onEvent  called with the event's name before it is sent
 * @param onKey    called when the visitor has given another API key
 */
export function createPublish(ask, onEvent, onKey) {
  const form = byId("publish-form");
  const args = byId("publish-args");

  function read() {
    const request = { event: byId("publish-event").value.trim() };
    const namespace = byId("publish-namespace").value.trim();
    const rooms = list(byId("publish-rooms").value);
    const except = list(byId("publish-except").value);
    if (namespace && namespace !== "/") request.namespace = namespace;
    if (rooms.length > 0) request.rooms = rooms;
    if (except.length > 0) request.except = except;
    request.args = JSON.parse(args.value.trim() || "[]");
    if (!Array.isArray(request.args)) throw new Error("the arguments must be a JSON array");
    return request;
  }

  function refresh() {
    const problem = byId("publish-args-error");
    const overHTTP = form.elements.via.value === "http";
    byId("key-field").hidden = !overHTTP;
    let request;
    try {
      request = read();
    } catch (error) {
      args.setAttribute("aria-invalid", "true");
      say(problem, error.message);
      byId("publish-send").disabled = true;
      return;
    }
    args.removeAttribute("aria-invalid");
    say(problem, "");
    byId("publish-send").disabled = false;
    byId("curl").textContent = overHTTP
      ? publishCommand(`${location.origin}/v1/publish`, request, apiKey() !== "")
      : publishCode(request);
  }

  async function overHTTP(request) {
    const headers = { "Content-Type": "application/json", ...authorization() };
    const response = await fetch("/v1/publish", { method: "POST", headers, body: JSON.stringify(request) });
    return { ok: response.ok, text: `${response.status} ${(await response.text()).trim()}` };
  }

  byId("publish-key").addEventListener("change", onKey);
  form.addEventListener("input", refresh);
  for (const choice of form.elements.via) choice.addEventListener("change", refresh);
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const result = byId("publish-result");
    let outcome;
    try {
      const request = read();
      onEvent(request.event);
      outcome = form.elements.via.value === "http"
        ? await overHTTP(request)
        : { ok: true, text: JSON.stringify(await ask("publish", request)) };
    } catch (error) {
      outcome = { ok: false, text: error.message };
    }
    result.dataset.ok = outcome.ok;
    say(result, outcome.text);
  });
  refresh();

  return {
    /** Aims the box at another room, unless the visitor has aimed it elsewhere. */
    follow(from, to) {
      const rooms = byId("publish-rooms");
      if (rooms.value.trim() === from) rooms.value = to;
      refresh();
    },
  };
}

/** The API key in the publish box, or "". It is kept nowhere else. */
export const apiKey = () => byId("publish-key").value;

/** The headers that prove it. */
export const authorization = () => (apiKey() ? { Authorization: `Bearer ${apiKey()}` } : {});
