// Package redisstreams is the [adapter.Driver] over Redis Streams. It speaks the wire of @socket.io/redis-streams-adapter
// 0.3, so Peal and Node.js nodes are members of one cluster.
//
// With the options as they are, and the namespace "/chat", there are
//
//	socket.io                a stream: messages, and changes of rooms, of all namespaces
//	socket.io#/chat#         a channel: calls
//	socket.io#/chat#uid#     a channel: answers to the calls of the node of that name, and its own pings
//
// A node that was cut off reads on where it was: what the stream still has is not lost, and what it has no more is counted
// as a gap of the cause [adapter.GapExpired], with the number of entries, whoever they were of. The stream keeps about
// [Options].MaxLen entries. Calls, their answers,
// and the events that Node.js nodes send each other, are for those who are there, and may be lost with the connection: the
// one who calls is told so, and the time is a gap.
//
// The stream puts the messages of all nodes into one order, which every Peal node sees: of events for nodes too, which Peal
// sends by the stream where Node.js does not. A call reaches a Peal node behind all that was published before it; what is
// published while it is under way may overtake it.
//
// For adapters with a log it is an [adapter.Sequencer]: the stream is the log that all nodes share, offsets are the ids of its
// entries, and sessions of clients that may come back to any node, one of Node.js included, are kept under
//
//	sio:session:<pid>        a text, for as long as the client may be away
//
// They are kept while clients are there, too ([adapter.Holder]), for the case that their node is killed. A user of Redis needs SET,
// GETDEL, EVAL, GETRANGE and DEL on these keys.
//
// Of several streams some are written by Node.js nodes and read by none of them: what comes there has no place in the log, and
// clients that are away then do not go on.
//
// It needs Redis 7 (or Valkey), on one server, Sentinel included, or a Redis Cluster, which it finds out by itself; an older
// Redis does not count what was lost. Of a cluster, each stream is on one server: [Options].StreamCount spreads namespaces
// over several.
package redisstreams
