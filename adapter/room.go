package adapter

import "sync"

// room is a flat slice of its members. Walking it needs the read lock, changing it the write lock.
type room struct {
	mu    sync.RWMutex
	slots []slot
	away  int // how many of them are of members that are away
	name  string
	// dead says that the room was taken out of the map. Whoever found it there before must look again.
	dead bool
}

// slot keeps the member beside its membership, so that a fan-out reads the slice and nothing else of the index.
type slot struct {
	member Member
	ref    *membership
}

// membership ties an entry to a room and knows its slot there. pos belongs to the room's lock, next to the entry's.
type membership struct {
	entry *entry
	room  *room
	next  *membership
	pos   int
}

// minSlots is the capacity below which a room's slice is not worth shrinking.
const minSlots = 16

// add appends m's entry. It reports false if the room is dead.
func (r *room) add(m *membership) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return false
	}
	m.room, m.pos = r, len(r.slots)
	r.slots = append(r.slots, slot{m.entry.member, m})
	if m.entry.away {
		r.away++
	}
	return true
}

// remove takes m out by moving the last slot into its place. It reports whether the room is empty now.
func (r *room) remove(m *membership) (empty bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.entry.away {
		r.away--
	}
	last := len(r.slots) - 1
	moved := r.slots[last]
	r.slots[m.pos] = moved
	moved.ref.pos = m.pos
	r.slots[last] = slot{}
	r.slots = r.slots[:last]
	if c := cap(r.slots); c > minSlots && last <= c/4 {
		r.slots = append(make([]slot, 0, c/2), r.slots...)
	}
	return last == 0
}

// pass gives the place of m to the member of e, which has the same id. From now on to is the membership; it may be m.
func (r *room) pass(m, to *membership, e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.entry.away {
		r.away--
	}
	if e.away {
		r.away++
	}
	to.entry, to.room, to.pos = e, r, m.pos
	r.slots[m.pos] = slot{e.member, to}
}

// inhabited reports whether there are members, though they be away.
func (r *room) inhabited() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.slots) > 0
}

// deserted reports whether there are members and all are away.
func (r *room) deserted() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.away > 0 && r.away == len(r.slots)
}

// len returns how many members there are that are not away.
func (r *room) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.slots) - r.away
}
