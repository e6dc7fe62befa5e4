// Package engineio is a server of the Engine.IO protocol, revision 4: sessions with clients over HTTP long-polling
// (also JSONP, if asked) and WebSocket, with upgrade from the first to the second and heartbeats.
//
// A [Server] is an http.Handler; mount it where its clients look for it:
//
//	mux.Handle("/engine.io/", engineio.NewServer(handler, nil))
//
// A WebSocket is taken over from net/http into Peal's connection core: on Linux and plain TCP an idle session has no
// goroutine and no buffer. Outbound messages are made once with [Prepare] and may be sent to any number of sessions,
// which then share the bytes.
//
// Where the Node.js server has a known bug, this one does right instead: heartbeats survive an upgrade, a close packet
// is honoured on every transport, a wrong protocol version is refused before the connection is upgraded, one origin
// policy holds for every request of polling, JSONP and WebSocket, the cookie is set on both handshakes, JSONP is served as a script, a
// method other than GET and POST is answered with 405, and what waits for a slow client is bounded.
package engineio
