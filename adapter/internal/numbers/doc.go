// Package numbers finds how many messages of a publisher did not reach a node, exactly, though the messages themselves bear
// no number: the wires are those of Node.js nodes, and have no place for one. It is pure: no I/O and no goroutines.
//
// A publisher, which is one namespace on one node, counts in a [Sender] what it has published, by [Audience]: what every
// node hears, and what only those hear that are interested in a room. Once a second, if there was something, it publishes a
// beat ([Sender.Next]): how much of each that was since the beat before. A node that hears it counts in a [Receiver] what
// came of each publisher, and at a beat knows what did not ([Receiver.Beat]). This needs
//
//   - messages and beats of a publisher that travel in order, on one connection: at a beat, what was published before it has
//     come or never will;
//   - a beat that is made when it is known what became of everything published before: it is the first of its batch (see
//     package outbox);
//   - payloads that arrive as they left, byte by byte. Whether the broker took a message is not always known: the caller is
//     told an error then, and a message that came all the same must not stand for one that did not. So messages of which it
//     is not known are told by their digests.
//
// What a driver does. When it publishes: [Sender.Sent] for each message, in order, with its error; then, if [Sender.Due], a
// beat. Once a second: a beat, if [Sender.Pending]. A beat is what [Sender.Next] returns, published as the first of a batch,
// then [Sender.Told]. When another node asks for beats that it has missed: what [Sender.Again] returns, to that node. When
// another node is new: a beat ([Sender.Greet]), for the new one counts from the first beat that it hears.
//
// When it receives, in the order in which things came, what is dropped for want of room included or not (it is lost then):
// [Receiver.Came] for each message, [Receiver.Beat] for each beat, whose [Finding] says what was lost, and what to ask the
// publisher for. When the broker has confirmed that this node hears a room: [Receiver.Opened]; before it does so no more:
// [Receiver.Closed]. Of a room that was opened or closed between two beats nothing is said for that time. When a publisher
// is gone: [Receiver.Gone].
package numbers
