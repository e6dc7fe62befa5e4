// Package postgres is the [adapter.Driver] over PostgreSQL's LISTEN and NOTIFY. It speaks the wire of
// @socket.io/postgres-adapter 0.5, so Peal nodes, Node.js nodes and the official emitter are members of one cluster, where
// a database is there and nothing else shall be.
//
// With the key "socket.io" and the namespace "/chat" the channel is "socket.io#/chat". All nodes LISTEN to it, and read what
// is not for them: rooms are not channels. Beside it each Peal node has a channel of its own, for its probes and for what
// other Peal nodes answer it.
//
// A notification has fewer than 8000 bytes. A message that is larger, or has binary values, goes into a table
// ([Options].Table), and its row is what is notified. Both are one statement, so that messages of every size arrive in the
// order in which one node has published them, which a Node.js node's do not: it publishes on a pool of connections, and a
// large message in two steps. Rows are removed after [Options].CleanupInterval.
//
// A driver has three connections: one that LISTENs, one that publishes, in transactions of all that waits, and one that
// reads the table and cleans it. They are made again by themselves, on whichever host of the URL writes. What is notified
// while a node does not LISTEN does not reach it: that is a gap, which [Driver.Stats] counts and the log tells. A connection
// that stands and delivers nothing is found by probes and replaced.
//
// [NewEmitter] makes a driver that only publishes, for programs that are no nodes.
package postgres
