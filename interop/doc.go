// Package interop proves that Peal speaks with the programs people already run: the official Socket.IO client, server,
// Redis adapter and emitter for Node.js, EventSource, a real Redis and a real browser.
//
// Its tests start real processes on loopback and talk to them; nothing is simulated. The Node.js programs in node/ are
// peers driven over standard input and output, one JSON document per line. Package server, below, is the Go peer: the
// program the public protocol test suites run against (see suites.sh).
//
// The tests need Node.js, the packages of package-lock.json, redis-server and Chromium. `make test` installs what npm
// can install; a missing piece fails the tests, since a skipped interoperability test proves nothing.
package interop
