// A reader of Server-Sent Events over fetch. An EventSource hears only the names it was told to listen for, does not say
// why it was refused, and cannot send a key; this page wants to show all of that.

import { Refusal } from "./socketio.js";

const RETRY = 2000;
const SILENT_FOR = 45_000;

/**
 * Takes the text of a stream apart: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
 * @param onEvent   is given { id, event, data }
 * @param onComment is given the text of each comment
 * @param onRetry   is given the pause the server asks for, in milliseconds
 */
export function createParser({ onEvent, onComment = () => {}, onRetry = () => {} }) {
  let rest = "";
  let data = [];
  let event = "";
  let id = "";

  function line(text) {
    if (text === "") {
      if (data.length > 0) onEvent({ id, event: event || "message", data: data.join("\n") });
      data = [];
      event = "";
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return onComment(text.slice(1).replace(/^ /, ""));
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d+$/.test(value)) onRetry(Number(value));
  }

  return (chunk) => {
    rest += chunk;
    let end;
    // A carriage return at the end may be half of a line's end.
    while ((end = rest.search(/\r\n|\n|\r(?!$)/)) >= 0) {
      const text = rest.slice(0, end);
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
      line(text);
    }
  };
}

/**
 * Follows a stream, and opens it again whenever it ends, until close is called or the server refuses.
 * @param headers called at each attempt for what to prove oneself with
 * @param onState called with "connecting", "connected", "lost" (trying again), "refused" or "off", and for lost and
 *                refused with { code, message } of the reason
 */
export function follow({ url, headers, onState, onEvent, onComment }) {
  let stopped = false;
  let attempt = null; // the AbortController of the request
  let timer = 0;
  let pause = RETRY;
  let last = "";

  async function open() {
    attempt = new AbortController();
    const { signal } = attempt;
    onState("connecting");
    let reason = { code: "unreachable" };
    try {
      const response = await fetch(url, {
        headers: { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }), ...headers() },
        cache: "no-store",
        signal,
      });
      if (!response.ok) {
        reason = await refusal(response);
        if (response.status < 500 && response.status !== 429) {
          if (stopped) return;
          stopped = true;
          return onState("refused", reason);
        }
        throw new Refusal(reason.code, reason.message);
      }
      onState("connected");
      reason = { code: "closed" };
      await read(response.body, signal);
    } catch {
      // The reason says it.
    }
    if (stopped) return;
    onState("lost", reason);
    timer = setTimeout(open, pause * (1 + Math.random() / 2));
  }

  async function read(body, signal) {
    const parse = createParser({
      onEvent: (event) => {
        last = event.id;
        if (!signal.aborted) onEvent(event);
      },
      onComment: (text) => !signal.aborted && onComment?.(text),
      onRetry: (asked) => { pause = Math.max(asked, 100); },
    });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const silence = setTimeout(() => attempt.abort(), SILENT_FOR);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      parse(value);
    }
  }

  open();
  return {
    close() {
      if (stopped) return;
      stopped = true;
      clearTimeout(timer);
      attempt?.abort();
      onState("off");
    },
  };
}

/** The code and the words of an answer that is no success. */
export async function refusal(response) {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text);
    if (error?.code) return { code: error.code, message: error.message ?? "" };
  } catch {
    // Something else than a node, a proxy for instance.
  }
  return { code: "status", message: String(response.status) };
}
