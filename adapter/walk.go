package adapter

import "github.com/peal-dev/peal/message"

// deliver hands m to the members of this node that t means, each once, and returns how many there were, without those
// that are away.
func (ix *index) deliver(m *message.Message, t *message.Target) int {
	return walk(ix, t, m, func(m *message.Message, e *entry, member Member) { member.Deliver(m) })
}

// members returns the members of this node that t means, each once, those that are away included.
func (ix *index) members(t *message.Target) []Member {
	var found []Member
	walk(ix, t, &found, func(found *[]Member, _ *entry, member Member) { *found = append(*found, member) })
	return found
}

// fewExcept is up to how many excepted members a walk compares one by one; beyond, it looks up their marks.
const fewExcept = 4

// walk calls visit(arg, …) for each member that t means, once, under the read lock of the room it is found in. arg
// instead of a closure, and no set of members, keep a broadcast free of allocations.
//
// A member moves within a room only under the write lock, so a walk of one room meets everybody who stays in it exactly
// once. Across rooms, and against exceptions, the marks decide: a member that is in several of the rooms is marked at
// the first meeting. A number that passes on to a new member during the walk can at worst hide that new one, as if it
// had come after the broadcast.
func walk[A any](ix *index, t *message.Target, arg A, visit func(A, *entry, Member)) int {
	w := walker[A]{ix: ix, arg: arg, visit: visit}
	if len(t.Except) > 0 || len(t.Rooms) > 1 {
		w.except(t)
		defer w.release()
	}
	if len(t.Rooms) == 0 {
		for i := range ix.all {
			w.room(&ix.all[i])
		}
		return w.count
	}
	for _, name := range t.Rooms {
		e, r := ix.resolve(name)
		if e != nil && !w.skip(e) {
			w.meet(e, e.member)
		}
		if r != nil {
			w.room(r)
		}
	}
	return w.count
}

type walker[A any] struct {
	ix    *index
	arg   A
	visit func(A, *entry, Member)
	count int

	single [fewExcept]*entry // excepted one by one
	marks  *marks            // who is excepted or was visited; nil if singles are enough
}

// except resolves the exceptions once and decides whether the walk needs marks.
func (w *walker[A]) except(t *message.Target) {
	singles := 0
	if len(t.Rooms) > 1 {
		w.marks = w.ix.takeMarks()
	}
	for _, name := range t.Except {
		e, r := w.ix.resolve(name)
		if e != nil {
			if w.marks == nil && singles < fewExcept {
				w.single[singles] = e
				singles++
			} else {
				w.mark(e)
			}
		}
		if r != nil {
			r.mu.RLock()
			for i := range r.slots {
				w.mark(r.slots[i].ref.entry)
			}
			r.mu.RUnlock()
		}
	}
}

func (w *walker[A]) mark(e *entry) {
	if w.marks == nil {
		w.marks = w.ix.takeMarks()
	}
	w.marks.set(e.num)
}

func (w *walker[A]) release() {
	if w.marks != nil {
		w.marks.release()
	}
}

// skip reports whether e must not be visited, and marks it as visited otherwise.
func (w *walker[A]) skip(e *entry) bool {
	for _, x := range w.single {
		if x == e {
			return true
		}
		if x == nil {
			break
		}
	}
	return w.marks != nil && w.marks.set(e.num)
}

func (w *walker[A]) room(r *room) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if w.marks == nil && w.single[0] == nil {
		for i := range r.slots {
			w.visit(w.arg, nil, r.slots[i].member)
		}
		w.count += len(r.slots) - r.away
		return
	}
	for i := range r.slots {
		s := &r.slots[i]
		if !w.skip(s.ref.entry) {
			w.meet(s.ref.entry, s.member)
		}
	}
}

func (w *walker[A]) meet(e *entry, m Member) {
	if _, away := m.(*Absence); !away { // which takes no look at e
		w.count++
	}
	w.visit(w.arg, e, m)
}
