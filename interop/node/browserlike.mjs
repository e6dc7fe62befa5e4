// Preloaded into the public protocol test suites (see ../suites.sh), which can run in a browser and rely on what a
// browser does: each WebSocket message is an event of its own task. ws can do the same but by default hands over all
// messages of one read at once, so that a test that awaits the first has no chance to see the second.
let current;

Object.defineProperty(globalThis, "WebSocket", {
  get: () => current,
  set: (base) => {
    current = class WebSocket extends base {
      constructor(url, protocols) {
        super(url, protocols, { allowSynchronousEvents: false });
      }
    };
  },
});
