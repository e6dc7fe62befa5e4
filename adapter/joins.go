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

	mu sync.Mutex // protects the following
	// done is up to where all has been delivered. Who joins while a message is on its way has not joined before it: the
	// message may reach it.
	done  message.Offset
	since map[stay]message.Offset
	order []stayed // oldest first, but for those that were restored
}

// stay is a member in a room.
type stay struct{ id, room string }

type stayed struct {
	stay
	since message.Offset
}

// maxJoins bounds how many joins are known; with more of them the log goes back less far.
const maxJoins = 1 << 18

// joined notes that the member is in room from now on.
func (j *joins) joined(id, room string) {
	if j.log.Bounds().Count > 0 {
		j.mu.Lock()
		done := j.done
		j.mu.Unlock()
		j.set(id, room, done)
	}
}

func newJoins(log eventlog.Log) *joins { return &joins{log: log, done: log.Bounds().Top} }

// delivered notes that all up to at has been delivered.
func (j *joins) delivered(at message.Offset) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done = at
}

// left forgets it.
func (j *joins) left(id, room string) {
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

// take is of and left.
func (j *joins) take(id, room string) message.Offset {
	since := j.of(id, room)
	j.left(id, room)
	return since
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
