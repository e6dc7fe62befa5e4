// Preloaded into the public protocol test suites (see ../suites.sh), which can run in a browser and rely on what a
// browser does: each WebSocket message is an event of its own task, and comes before the answer of an HTTP request that
// arrived after it. ws hands over all messages of one read at once, so that a test that awaits the first has no chance to
// see the second; with its allowSynchronousEvents: false it hands even the first over late, behind such an answer. So here
// the first message of a read is handed over at once, and each further event in a task of its own.
let current;

const received = new Set(["message", "ping", "pong", "close"]);

Object.defineProperty(globalThis, "WebSocket", {
  get: () => current,
  set: (base) => {
    current = class WebSocket extends base {
      #waiting = [];
      #handedOver = false; // a message, in this task

      emit(event, ...args) {
        if (!this.#handedOver || !received.has(event)) {
          if (event === "message") {
            this.#rest();
          }
          return super.emit(event, ...args);
        }
        this.#waiting.push([event, ...args]);
        return true;
      }

      // #rest keeps what comes in this task for later ones.
      #rest() {
        this.#handedOver = true;
        setImmediate(() => {
          this.#handedOver = false;
          while (this.#waiting.length > 0 && !this.#handedOver) {
            const next = this.#waiting.shift();
            if (next[0] === "message") {
              this.#rest();
            }
            super.emit(...next);
          }
        });
      }
    };
  },
});
