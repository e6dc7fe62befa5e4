// Command million shows that a cluster of Peal nodes on one machine keeps a million Socket.IO clients and reaches all of
// them with one broadcast. It starts a Redis, the nodes and the processes that play the clients, measures, stops them
// all, and says what it cost: time, processor, and memory of nodes, clients and kernel. It needs Linux and redis-server.
package main
