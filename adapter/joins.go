package adapter

import (
	"sync"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// joins knows of each member since when it is in its rooms, as far as the log goes back: a member that resumes is not given
// what a room received before it came. Memberships older than all entries need not be known, so a member that has been
// idle for as long as the log lasts costs nothing.
type joins struct {
	log eventlog.Log

	mu    sync.Mutex // protects the following
	since map[stay]message.Offset
	order []stayed // oldest first, but for those that were restored
}

// stay is a member in a room.
type stay struct{ id, room string }

type stayed struct {
	stay
	since message.Offset
}

var _ Observer = (*joins)(nil)

// maxJoins bounds how many joins are known; with more of them the log goes back less far.
const maxJoins = 1 << 18

// Joined implements [Observer].
func (j *joins) Joined(id, room string) {
	if b := j.log.Bounds(); b.Count > 0 {
		j.set(id, room, b.Top)
	}
}

// Left implements [Observer].
func (j *joins) Left(id, room string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.since, stay{id, room})
}

// set notes since when the member is in room.
func (j *joins) set(id, room string, since message.Offset) {
	floor := j.log.Bounds().Floor
	s := stay{id, room}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.order) >= maxJoins {
		if j.compact(); len(j.order) >= maxJoins/8*7 {
			floor = j.order[maxJoins/8].since
			j.log.Trim(floor)
		}
	}
	j.trim(floor)
	if since.Compare(floor) <= 0 {
		delete(j.since, s)
		return
	}
	if j.since == nil {
		j.since = make(map[stay]message.Offset)
	}
	j.since[s] = since
	j.order = append(j.order, stayed{s, since})
}

// compact takes those out of the order that have left: somebody who joins and leaves all the time is no reason for the log
// to go back less far. j.mu is held.
func (j *joins) compact() {
	since, order := make(map[stay]message.Offset, len(j.since)), make([]stayed, 0, len(j.since))
	for _, o := range j.order {
		if _, known := since[o.stay]; !known && j.since[o.stay] == o.since {
			since[o.stay] = o.since
			order = append(order, o)
		}
	}
	j.since, j.order = since, order
}

// of returns since when the member has been in room; zero if it has been for longer than the log goes back.
func (j *joins) of(id, room string) message.Offset {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.since[stay{id, room}]
}

// trim forgets what is older than all that the log has. j.mu is held.
func (j *joins) trim(floor message.Offset) {
	n := 0
	for n < len(j.order) && j.order[n].since.Compare(floor) <= 0 {
		o := j.order[n]
		if j.since[o.stay] == o.since {
			delete(j.since, o.stay)
		}
		n++
	}
	if n == 0 {
		return
	}
	clear(j.order[:n])
	j.order = j.order[n:]
	if len(j.order) == 0 {
		j.since, j.order = nil, nil
	}
}
