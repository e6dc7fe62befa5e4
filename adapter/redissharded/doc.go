// Package redissharded is the [adapter.Driver] over Redis' sharded Pub/Sub (Redis 7 and later). It speaks the wire of
// createShardedAdapter of @socket.io/redis-adapter 8, so Peal and Node.js nodes are members of one cluster.
//
// With the prefix "socket.io" and the namespace "/chat" the shard channels are
//
//	socket.io#/chat#         everything, but for
//	socket.io#/chat#room#    broadcasts to exactly that room, by the [Mode]
//	socket.io#/chat#uid#     answers to the calls of the node of that name, and its own pings
//
// On a Redis Cluster each channel is on the server that has its slot, so that the load is spread; the driver has a
// connection to each server it needs, and follows channels whose slot moves. Which servers there are it asks the cluster.
//
// Calls, their answers and the counting of nodes are as with Node.js nodes: those that are subscribed to the namespace's
// channel are waited for. What redispubsub does for reconnecting, gaps and readiness, this driver does too.
package redissharded
