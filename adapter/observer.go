package adapter

// Observer is told who is in which room of this node, whoever asked for it: a member that is registered or removed comes
// and goes in the room that is its own id, ahead of its other rooms and behind them. For one member and room the calls
// alternate. They come under the member's lock, Joined before a message to the room can reach the member, so they return
// at once and do not call the adapter.
type Observer interface {
	Joined(id, room string)
	Left(id, room string)
}
