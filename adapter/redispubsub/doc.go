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
//	socket.io-peal1#5#/chat#        broadcasts among Peal nodes to everyone, several rooms, or one socket
//	socket.io-peal1#5#/chat#=room   broadcasts among Peal nodes to exactly that room
//
// Among Peal nodes broadcasts are frames of their own, and a node receives what its members need: it subscribes to a room's
// channel while it has members of the room, and a join returns when Redis has confirmed that. Whether a Node.js node is there is
// counted by Redis with each batch of messages, behind them; if one is, the batch is published again as Node.js nodes do, and so is
// all that follows as long as there is one. Every node hears the channels of Node.js nodes by one pattern all the time, and drops
// unread what is for rooms it does not have. On a Redis Cluster, and on a server with replicas, nobody can count, and all is
// published as Node.js nodes do.
//
// Calls go both ways. A Node.js node counts this node among those it waits for, and this node counts as it does, by the
// subscribers of the request channel. Requests of Peal nodes have a field "peal" which others do not read: it asks for
// answers on the asking node's own channel, with the names of node and member, and for word of members that have gone. The
// response channel of all is subscribed to at the first call, since only Node.js nodes answer there. A Peal node that hangs, or
// whose host is gone, is known to in three seconds, though Redis still counts it: calls end without it, and name it as missing.
//
// Redis Pub/Sub delivers at most once: what is published while a node has no connection does not reach it. The node
// connects again by itself, and joins, leaves and disconnects of its own members do not need Redis at all. Each time in
// which something may be missing is an [adapter.Gap], which [Driver.Stats] counts and the log tells. How many messages of Peal nodes
// have not come is known within two seconds, for each tells each second how many it has published, and counted as Lost.
//
// What Redis sends waits in an inbox of each namespace, in order and bounded, so that namespaces do not wait for each
// other, nor messages for answers to questions.
package redispubsub
