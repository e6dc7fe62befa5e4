// Package web holds what a Peal node serves to browsers: the playground, and the official Socket.IO client if it was
// built in.
//
// The playground is one page that shows a room live over Socket.IO and over Server-Sent Events side by side, publishes
// to it, and draws the node's counters. It is plain HTML, CSS and ES modules, embedded as it lies in page/, and needs
// nothing from elsewhere: it speaks Socket.IO by itself (page/js/socketio.js).
//
// The official client is for the pages of users, which load it from /socket.io/socket.io.js. `make web` copies it from
// npm into dist/. A binary built without it works, and answers that path with what to do.
package web
