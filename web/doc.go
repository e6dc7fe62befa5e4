// Package web is the playground of a Peal node: one page that shows a room live over Socket.IO and over Server-Sent
// Events side by side, publishes to it, and draws the node's counters.
//
// The page is plain HTML, CSS and ES modules, embedded as it lies in page/. The only file from elsewhere is the browser
// build of the official Socket.IO client, which `make web` copies from npm into dist/. A binary built without it still
// works; its page then says what to run.
package web
