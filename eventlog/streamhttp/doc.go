// Package streamhttp serves durable topics over HTTP: an [http.Handler] over any [eventlog.Store] that speaks the Durable
// Streams protocol 1.0 (github.com/durable-streams/durable-streams, PROTOCOL.md), but not its subscriptions of section 6. A
// stream is made by PUT, appended to and closed by POST, read by GET (what is there, long-polling, Server-Sent Events), asked
// about by HEAD and deleted by DELETE. Its clients and adapters work unchanged.
//
// # What lies where
//
// Each stream is a topic of the store, which decides about order, ends, producers and retention. What a topic does not know
// (content type, time to live, from which stream it was forked) is in one more topic, the catalog. Nodes that share a store
// agree by it: a change is an append numbered by what its node has read, so that the store takes the one that is first.
//
// Offsets on the wire are those of the topic, written so that they sort as text. One POST is one item of its topic, or with
// application/json one item for each message; a Go program can read them by [Handler.Topic].
//
// # Choices the protocol leaves
//
//   - Stream-Seq is held against the last one of the stream, whoever sent it, by each node for what came over that node.
//   - Stream-TTL counts from what this node has seen, and from its start anew.
//   - What retention has trimmed is answered with 410; a reader that begins at -1 begins at the oldest that is kept.
//   - Stream-TTL and Stream-Expires-At together are refused.
package streamhttp
