// Any number of EventSource clients, driven line by line (see lines.mjs).
import { EventSource } from "eventsource";
import { say, serve } from "./lines.mjs";

const streams = new Map();

serve({
  // open waits for the stream to be open. Every event named in `events` is reported with its data and id.
  open({ client: name, url, events = ["message"] }) {
    const source = new EventSource(url);
    streams.set(name, source);
    for (const event of events) {
      source.addEventListener(event, ({ data, lastEventId }) => {
        say({ client: name, event, data, lastEventId });
      });
    }
    return new Promise((resolve, reject) => {
      source.addEventListener("open", () => {
        say({ client: name, state: "open" });
        resolve();
      });
      source.addEventListener("error", (error) => {
        say({ client: name, state: "error", detail: error.message ?? String(error.code ?? "") });
        // EventSource retries by itself; only a refusal, which closes it, ends the attempt.
        if (source.readyState === EventSource.CLOSED) reject(new Error(`${error.code} ${error.message}`));
      });
    });
  },

  close({ client: name }) {
    streams.get(name).close();
  },
});
