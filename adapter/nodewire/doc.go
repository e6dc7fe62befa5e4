// Package nodewire reads and writes the messages that the adapters of Node.js nodes send each other, those built on
// socket.io-adapter's ClusterAdapter: sharded Redis, Redis Streams, PostgreSQL, MongoDB and their emitters. It does no
// I/O. (The classic Redis adapter has a wire of its own, see package redispubsub.)
//
// A [Message] is one of them, decoded: where events and answers have binary values, these stand beside the JSON as
// attachments, as in package message. On the wire it is an object {type, data, uid, nsp}, in one of the dialects
//
//   - JSON text, for what has no binary values: [Message.AppendJSON]
//   - MessagePack, for what has: [Message.AppendMsgpack]; [Message.Append] chooses as Node.js nodes do
//   - an object of the transport's own, of which "data" is a part: [Message.AppendData], [Message.ParseData]
//
// Peal nodes say more than Node.js nodes do, in members that those do not read: see [Message].
package nodewire
