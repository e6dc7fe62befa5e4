// Package mongodb is the [adapter.Driver] over a collection of MongoDB. It speaks the wire of @socket.io/mongo-adapter 0.4,
// so Peal nodes, Node.js nodes and @socket.io/mongo-emitter are members of one cluster.
//
// A message is a document {type, data, uid, nsp} of the collection, in the terms of socket.io-adapter's ClusterAdapter, with
// binary values as such. Every node reads what is inserted by one change stream, whatever number of namespaces it has: a
// replica set or a sharded cluster is needed, of MongoDB 4.2 or later. The collection is made if it is not there, capped, or
// with a TTL index on createdAt if [Options].TTL is set; if it is there already it is used as it is, and what it is decides
// whether documents get a createdAt.
//
// Peal nodes say a little more, in members that Node.js nodes do not read: "peal" is the driver that inserted the document,
// to which its own do not come back, and "to" the one that alone has a use for it, so that the server sends the answer to a
// question to nobody else. A Peal node that leaves says so (type 14), for which Node.js nodes have no word.
//
// Nothing is lost while a node has no connection: the stream goes on behind the last document that was received, and a
// document whose insertion was not confirmed is inserted again under the same _id, which MongoDB takes once. Only when the
// server has forgotten the place where the stream was, because its oplog is too short, is there a [adapter.Gap] of the cause
// [adapter.GapExpired]. While a namespace has no room for more messages the stream waits.
package mongodb
