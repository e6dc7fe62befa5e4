// Package redispubsub is the [adapter.Driver] over Redis Pub/Sub. It speaks the wire of @socket.io/redis-adapter 8, so
// Peal nodes, Node.js nodes and the Redis emitters of other languages are members of one cluster.
//
// With the key "socket.io" and the namespace "/chat" the channels are
//
//	socket.io#/chat#            broadcasts to everyone, to several rooms, or to all but some
//	socket.io#/chat#room#       broadcasts to exactly that room
//	socket.io-request#/chat#    joins, leaves, disconnects, calls and server-side events
//	socket.io-response#/chat#   answers to the calls of Node.js nodes, and theirs to ours
//	socket.io-response#/chat#uid#   answers of Peal nodes to this node's calls, and its own pings
//
// A node receives all broadcasts of a namespace by one pattern, and drops unread those for a room it does not have. With
// [Options].SubscribeRooms it receives what its members need: it subscribes to a room's channel while it has members of
// the room, and a join returns when Redis has confirmed that. Only the rooms that are a socket's id share one pattern on
// all nodes, since else every connection would cost Redis a subscription.
//
// Calls go both ways. A Node.js node counts this node among those it waits for, and this node counts as it does, by the
// subscribers of the request channel. Requests of Peal nodes have a field "peal" which others do not read: it asks for
// answers on the asking node's own channel, with the names of node and member, and for word of members that have gone. The
// response channel of all is subscribed to at the first call, since only Node.js nodes answer there.
//
// Redis Pub/Sub delivers at most once: what is published while a node has no connection does not reach it. The node
// connects again by itself, and joins, leaves and disconnects of its own members do not need Redis at all. Each time in
// which something may be missing is an [adapter.Gap], which [Driver.Stats] counts and the log tells.
//
// What Redis sends waits in an inbox of each namespace, in order and bounded, so that namespaces do not wait for each
// other, nor messages for answers to questions.
package redispubsub
