// Package adapter decides who receives: it holds the members of a namespace and their rooms, delivers a message to each
// of them once, and hands the same message to the other nodes of the cluster.
//
// A [Member] is whatever a room can hold: a Socket.IO socket or a stream of Server-Sent Events. Both kinds meet in the
// [Adapter] of their namespace, so one [Adapter.Broadcast] reaches all. A [message.Message] is JSON from the start and is
// encoded once per wire [message.Format], however many members ask.
//
// How messages reach the other nodes is the business of a [Driver]; a nil driver makes a single node. Drivers live in
// packages below this one and are held to the conformance suite of package adaptertest.
//
// A call asks all other nodes ([Adapter.Call]) and returns what came and who is missing. The adapter answers those of other
// nodes, beside the messages and bounded; a driver only carries them, with [Calls] to count the answers.
//
// # Locks
//
// A member's entry, a shard of the map of rooms (or of ids), a room: locks are taken in this order and never the other
// way round. A broadcast holds one room's read lock while it walks that room, which is why [Member.Deliver] must not
// call back into the adapter.
package adapter
