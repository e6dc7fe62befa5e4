// Package recentrooms remembers the rooms that members were put into from elsewhere a moment ago, for drivers that publish
// what is for one room to those nodes only which have it.
package recentrooms

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxRecent is how many rooms are remembered one by one.
const maxRecent = 1024

// Rooms remembers the rooms that members of any node were put into by another one a moment ago. Nobody waits for such a
// join: a node that opened the room for it may not have subscribed yet when the next message is published, so that message
// takes the channel all nodes hear. The zero value remembers none. It is safe for concurrent use.
type Rooms struct {
	any atomic.Bool // there may be some; without any, publishing takes no lock

	mu    sync.Mutex
	until map[string]time.Time
	all   time.Time // until then every room counts: there were too many
	end   time.Time // when all of it is over
}

// Note remembers rooms for so long.
func (r *Rooms) Note(rooms []string, d time.Duration) {
	now := time.Now()
	r.note(rooms, now, now.Add(d))
}

// Has reports whether room is remembered.
func (r *Rooms) Has(room string) bool { return r.has(room, time.Now) }

// note remembers rooms until then.
func (r *Rooms) note(rooms []string, now, until time.Time) {
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

func (r *Rooms) has(room string, now func() time.Time) bool {
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
