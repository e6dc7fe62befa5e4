// Package crossing measures what it costs to cross from one node of a cluster to another: for a message, which is published
// on one node and has its members on another, and for a client's requests, which reach a node that has not got its session.
//
// The clients are those of internal/bench, all on one event loop, which also keeps the time: a message carries when it was
// due, so that a server or a generator that falls behind shows in its latency. One clock, one machine.
package crossing
