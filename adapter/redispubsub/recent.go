package redispubsub

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxRecent is how many rooms are remembered one by one.
const maxRecent = 1024

// recentJoins remembers the rooms that members of any node were put into by another one a moment ago. Nobody waits for
// such a join: a node that opened the room for it may not have subscribed yet when the next message is published, so
// that message takes the channel all nodes hear.
type recentJoins struct {
	any atomic.Bool // there may be some; without any, publishing takes no lock

	mu    sync.Mutex
	until map[string]time.Time
	all   time.Time // until then every room counts: there were too many
	end   time.Time // when all of it is over
}

// note remembers rooms until then.
func (r *recentJoins) note(rooms []string, now, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until)+len(rooms) > maxRecent {
		for room, t := range r.until {
			if !now.Before(t) {
				delete(r.until, room)
			}
		}
	}
	r.any.Store(true)
	if until.After(r.end) {
		r.end = until
	}
	if len(r.until)+len(rooms) > maxRecent {
		r.all = until
		clear(r.until)
		return
	}
	if r.until == nil {
		r.until = make(map[string]time.Time)
	}
	for _, room := range rooms {
		r.until[room] = until
	}
}

// has reports whether room is remembered.
func (r *recentJoins) has(room string, now func() time.Time) bool {
	if !r.any.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := now()
	if !t.Before(r.end) {
		// Rooms that nobody publishes to are over too.
		r.until = nil
		r.any.Store(false)
		return false
	}
	return t.Before(r.all) || t.Before(r.until[room])
}
