// Package sse serves the broadcasts of rooms as Server-Sent Events (WHATWG HTML, section 9.2).
//
// A stream is a member of rooms like any Socket.IO socket is: it joins rooms of a namespace's adapter and receives every
// broadcast to them, from whichever node and by whatever means it was published. A [Handler] turns one GET request into
// one stream. Nothing travels from the client to the server; that is what Socket.IO, or a plain POST, is for.
//
// # What arrives
//
//	id: 1735689600000-0
//	event: tick
//	data: [1,"two"]
//
// event is the name of the event, data the JSON array of its arguments, always an array, so that a client needs one line
// to read it: JSON.parse(e.data). Binary arguments stand in it as base64 strings (RFC 4648, section 4, padded) wherever
// Socket.IO would have put a placeholder. id is the message's place in the log of its namespace; without a log there is
// none.
//
// Some names need care. A name with a line break cannot be carried by the field, so each CR and LF in it arrives as
// U+FFFD; no name can forge a second event. An empty name arrives as "message", the default of EventSource. EventSource
// calls the listeners of "error" and "open" itself, so events of these names arrive as "event:error" and "event:open",
// and onerror and onopen tell of the stream alone.
//
// # Coming back
//
// With a log (Options.Log of package adapter) an EventSource goes on where it was: the id of the last event it had, which it sends as
// Last-Event-ID, brings it what it missed, in order and once. A stream begins with an id and has one for each heartbeat, so
// one for which there is nothing can come back too. If something that was missed is not there any more, is more than three
// quarters of SendBuffer, or the id is of another node, the client is given none of it, and the event [ResetEvent] first:
// what the page shows may be out of date. Who may subscribe to a room may so read what the log has of it.
//
// # Slow clients
//
// Each stream has a bounded queue. A volatile message is dropped when it cannot be taken at once: because the client does
// not keep up or the queue is full. Any other message that finds the queue full closes the stream, and the browser's
// EventSource connects again; a stream that net/http serves (HTTP/2, HTTP/1.0, [Options].HoldHandler) first makes room by
// dropping volatile messages that wait. Nothing a client does can hold a publisher. Drops are counted, and closes by
// reason: see [Stats].
//
// # Errors
//
// A refused request is answered with a status and {"error":{"code":"…","message":"…"}}; see [Error].
package sse
