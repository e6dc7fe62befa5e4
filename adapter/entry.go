package adapter

import "sync"

// manyRooms is how many memberships an entry keeps as a list. A member of more rooms gets a map: until then a walk over
// a few list cells is faster than a map and takes a tenth of its memory.
const manyRooms = 32

// entry is what the index keeps per member.
type entry struct {
	member Member
	id     string
	// num is a small number that no other present entry has: its bit in a [marks].
	num uint32
	// away says that member is an [Absence].
	away bool

	// mu guards the following. Deliveries do not take it.
	mu    sync.Mutex
	gone  bool
	count int32
	list  *membership            // while many is nil
	many  map[string]*membership // by room, from manyRooms on
	self  membership             // in the room of everyone
}

// find returns e's membership of the room called name, or nil.
func (e *entry) find(name string) *membership {
	if e.many != nil {
		return e.many[name]
	}
	for m := e.list; m != nil; m = m.next {
		if m.room.name == name {
			return m
		}
	}
	return nil
}

func (e *entry) link(m *membership) {
	e.count++
	if e.many == nil && e.count <= manyRooms {
		m.next, e.list = e.list, m
		return
	}
	if e.many == nil {
		e.many = make(map[string]*membership, 2*manyRooms)
		for l := e.list; l != nil; {
			next := l.next
			l.next = nil
			e.many[l.room.name] = l
			l = next
		}
		e.list = nil
	}
	e.many[m.room.name] = m
}

// unlink forgets the membership of the room called name and returns it, or nil if there is none.
func (e *entry) unlink(name string) *membership {
	if e.many != nil {
		m := e.many[name]
		if m != nil {
			delete(e.many, name)
			e.count--
		}
		return m
	}
	for at := &e.list; *at != nil; at = &(*at).next {
		if m := *at; m.room.name == name {
			*at, m.next = m.next, nil
			e.count--
			return m
		}
	}
	return nil
}

func (e *entry) rooms() []string {
	if e.count == 0 {
		return nil
	}
	names := make([]string, 0, e.count)
	for m := e.list; m != nil; m = m.next {
		names = append(names, m.room.name)
	}
	for name := range e.many {
		names = append(names, name)
	}
	return names
}
