// The publish box: one request, sent over HTTP or over the page's own socket, with the command that does the same.

import { publishCode, publishCommand } from "./command.js";
import { byId, say } from "./dom.js";
import { refusal } from "./eventstream.js";
import { t } from "./i18n.js";
import { apiKey, authorization } from "./key.js";
import { formatNames, parseNames } from "./lists.js";
import { Refusal } from "./socketio.js";
import { explain, wantsKey } from "./words.js";

/**
 * @param ask    sends an event over the socket and resolves with its reply
 * @param askKey called with the reason when the node wants the key
 */
export function createPublish(ask, askKey) {
  const form = byId("publish-form");
  const result = byId("publish-result");

  /** A field's value, read; what is wrong with it is said, and it is marked. */
  function field(id, read, problem) {
    const input = byId(id);
    try {
      const value = read(input.value.trim());
      input.removeAttribute("aria-invalid");
      return value;
    } catch {
      input.setAttribute("aria-invalid", "true");
      throw new Error(problem);
    }
  }

  function parseArguments(text) {
    const args = JSON.parse(text || "[]");
    if (!Array.isArray(args)) throw new Error("no array");
    return args;
  }

  function read() {
    const request = { event: byId("publish-event").value.trim() };
    const namespace = byId("publish-namespace").value.trim();
    const rooms = field("publish-rooms", parseNames, t("The rooms are no JSON array of names."));
    const except = field("publish-except", parseNames, t("The excepted rooms are no JSON array of names."));
    if (namespace && namespace !== "/") request.namespace = namespace;
    if (rooms.length > 0) request.rooms = rooms;
    if (except.length > 0) request.except = except;
    request.args = field("publish-args", parseArguments, t("The arguments are no JSON array."));
    return request;
  }

  const overHTTP = () => form.elements.via.value === "http";

  function refresh() {
    say(result, "");
    let request;
    try {
      request = read();
    } catch (error) {
      say(byId("publish-problem"), error.message);
      byId("publish-send").disabled = true;
      return;
    }
    say(byId("publish-problem"), "");
    byId("publish-send").disabled = false;
    byId("publish-target").textContent = audience(request);
    byId("curl").textContent = overHTTP()
      ? publishCommand(`${location.origin}/v1/publish`, request, apiKey() !== "")
      : publishCode(request);
  }

  async function post(request) {
    const response = await fetch("/v1/publish", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization() },
      body: JSON.stringify(request),
    }).catch(() => { throw new Refusal("unreachable"); });
    if (!response.ok) {
      const { code, message } = await refusal(response);
      throw new Refusal(code, message);
    }
    return response.text();
  }

  form.addEventListener("input", refresh);
  for (const choice of form.elements.via) choice.addEventListener("change", refresh);
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    try {
      const request = read();
      const reply = overHTTP() ? await post(request) : JSON.stringify(await ask("publish", request));
      result.dataset.ok = "true";
      say(result, t("Published: {reply}", { reply: reply.trim() }));
    } catch (error) {
      if (wantsKey(error)) askKey(error);
      result.dataset.ok = "false";
      say(result, t("Not published: {reason}.", { reason: explain(error) }));
    }
  });
  refresh();

  return {
    refresh,
    /** Aims the box at another room, unless the visitor has aimed it elsewhere. */
    follow(from, to) {
      const rooms = byId("publish-rooms");
      if (rooms.value.trim() === formatNames([from]) || rooms.value === "") rooms.value = formatNames([to]);
      refresh();
    },
  };
}

/** Who receives a request, in words. */
function audience({ namespace = "/", rooms = [], except = [] }) {
  const names = formatNames(rooms);
  const but = formatNames(except);
  if (rooms.length === 0 && except.length === 0) return t("For everyone in the namespace {namespace}.", { namespace });
  if (rooms.length === 0) return t("For everyone in the namespace {namespace} who is not in {but}.", { namespace, but });
  if (rooms.length === 1 && except.length === 0) return t("For whoever is in {names}.", { names });
  if (rooms.length === 1) return t("For whoever is in {names} and not in {but}.", { names, but });
  if (except.length === 0) return t("For whoever is in {names}: once, also in several of them.", { names });
  return t("For whoever is in {names} and not in {but}: once, also in several of them.", { names, but });
}
