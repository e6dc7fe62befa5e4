package message

// Target says who is meant. The zero value means every member of the namespace on every node.
type Target struct {
	// Rooms are the rooms that receive, each member once however many of them it is in. A member's id is a room.
	// None means everyone.
	Rooms []string
	// Except are the rooms whose members do not receive. A member's id is a room.
	Except []string
	// Local keeps it on this node.
	Local bool
	// Private means the member whose id Rooms names, and nobody else who is in a room of that name. Logs keep it; what is
	// broadcast goes to rooms.
	Private bool
}
