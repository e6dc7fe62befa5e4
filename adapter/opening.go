package adapter

import "context"

// Opening is the cluster's part of a room's first join on this node: from its end on, the room hears other nodes.
type Opening interface {
	// Wait returns nil when messages of other nodes reach the room, and an error if it cannot be said within the driver's
	// own time that they do; the driver goes on trying. It may be called by many goroutines, and again.
	Wait(ctx context.Context) error
}

// opened tells the driver that a name has a meaning on this node now. The caller holds s.mu.
func (ix *index) opened(s *shard, name string) {
	if ix.filter == nil || s.ids[name] != nil && s.rooms[name] != nil {
		return
	}
	if o := ix.filter.RoomOpened(name); o != nil {
		if s.openings == nil {
			s.openings = make(map[string]Opening)
		}
		s.openings[name] = o
	}
}

// closed tells the driver that a name has lost one of its meanings. The caller holds s.mu.
func (ix *index) closed(s *shard, name string) {
	if ix.filter == nil || s.ids[name] != nil || s.rooms[name] != nil {
		return
	}
	delete(s.openings, name)
	ix.filter.RoomClosed(name)
}

// opening returns what a join of name has to wait for, or nil.
func (ix *index) opening(name string) Opening {
	if ix.filter == nil {
		return nil
	}
	s := ix.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.openings[name]
}

// openings are what a join has to wait for.
type openings []namedOpening

type namedOpening struct {
	name    string
	opening Opening
}

func (list openings) add(name string, o Opening) openings {
	if o == nil {
		return list
	}
	return append(list, namedOpening{name, o})
}

// wait waits for all openings in the list and forgets those that have come to their end.
func (ix *index) wait(ctx context.Context, list openings) error {
	var failed error
	for _, w := range list {
		if err := w.opening.Wait(ctx); err != nil {
			failed = err
			continue
		}
		s := ix.shard(w.name)
		s.mu.Lock()
		if s.openings[w.name] == w.opening {
			delete(s.openings, w.name)
		}
		s.mu.Unlock()
	}
	return failed
}
