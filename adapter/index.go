package adapter

import (
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
)

// index is the room index of one node and namespace.
//
// Lock order: entry.mu, then a shard's mu, then room.mu; numbers.mu is a leaf.
type index struct {
	seed    maphash.Seed
	shards  []shard
	all     []room // the room of everyone, split by entry number so that joining does not wait for one long walk
	numbers numbers
	length  atomic.Int64 // without those that are away
	absent  atomic.Int64 // those that are away
	filter  RoomFilter   // is told which names have a meaning here; nil without a driver that wants to know
	// observers are told who is in which room, except of members that are away.
	observers []Observer
	joins     *joins // is told of all; nil without a log
}

// shard holds the rooms and the entries whose name hashes to it.
type shard struct {
	mu    sync.RWMutex
	rooms map[string]*room
	ids   map[string]*entry
	// openings are the names that may not hear the cluster yet; nil until there is one.
	openings map[string]Opening
	_        [16]byte // keeps neighbours' locks off one cache line
}

func newIndex(shards int) *index {
	if shards <= 0 {
		shards = min(8*runtime.GOMAXPROCS(0), 256)
	}
	n := 1
	for n < shards {
		n *= 2
	}
	return &index{seed: maphash.MakeSeed(), shards: make([]shard, n), all: make([]room, n)}
}

func (ix *index) shard(name string) *shard {
	return &ix.shards[maphash.String(ix.seed, name)&uint64(len(ix.shards)-1)]
}

func (ix *index) entry(id string) *entry {
	s := ix.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ids[id]
}

// resolve returns both meanings of a name with one look: the member with that id and the room, each possibly nil.
func (ix *index) resolve(name string) (*entry, *room) {
	s := ix.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ids[name], s.rooms[name]
}

// roomFor returns the room called name, made if need be, and its opening if that may not have ended. The room may be dead
// by the time it is used.
func (ix *index) roomFor(name string) (*room, Opening) {
	s := ix.shard(name)
	s.mu.RLock()
	r, o := s.rooms[name], s.openings[name]
	s.mu.RUnlock()
	if r != nil {
		return r, o
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r = s.rooms[name]
	if r == nil {
		if s.rooms == nil {
			s.rooms = make(map[string]*room)
		}
		r = &room{name: name}
		s.rooms[name] = r
		ix.opened(s, name)
	}
	return r, s.openings[name]
}

// retire takes r out of the map if it is still empty. A join that found r before then sees it dead and looks again.
func (ix *index) retire(r *room) {
	s := ix.shard(r.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead || len(r.slots) > 0 {
		return
	}
	r.dead = true
	delete(s.rooms, r.name)
	ix.closed(s, r.name)
}

// add registers m and joins rooms. If the id is known, the member that has it only joins; add then reports false.
func (ix *index) add(m Member, rooms []string) (added bool, opening openings) {
	return ix.admit(m, rooms, false)
}

// admit is add. One that is away does not take anybody's place.
func (ix *index) admit(m Member, rooms []string, away bool) (added bool, opening openings) {
	id := m.ID()
	s := ix.shard(id)
	for {
		e := ix.entry(id)
		if e == nil {
			fresh := &entry{member: m, id: id, away: away}
			fresh.mu.Lock()
			s.mu.Lock()
			if e = s.ids[id]; e == nil {
				if s.ids == nil {
					s.ids = make(map[string]*entry)
				}
				e, added = fresh, true
				e.num = ix.numbers.take()
				s.ids[id] = e
				ix.opened(s, id)
				opening = opening.add(id, s.openings[id])
			}
			s.mu.Unlock()
		}
		if added {
			ix.joined(e, id)
			e.self.entry = e
			ix.all[int(e.num)&(len(ix.all)-1)].add(&e.self)
			if away {
				ix.absent.Add(1)
			} else {
				ix.length.Add(1)
			}
		} else if away {
			return false, nil
		} else {
			e.mu.Lock()
			if e.gone {
				// Its remover has taken it out of the map before it unlocked.
				e.mu.Unlock()
				continue
			}
			if e.away { // m is somebody else
				e.mu.Unlock()
				ix.remove(id, e.member, nil)
				continue
			}
		}
		opening = ix.joinLocked(e, rooms, opening)
		e.mu.Unlock()
		return added, opening
	}
}

// remove forgets the member called id, and only if it is m when that is not nil, and returns the rooms it was in. Before
// that leaving is called with them, if it is not nil, under the member's lock.
func (ix *index) remove(id string, m Member, leaving func(rooms []string)) []string {
	e := ix.entry(id)
	if e == nil || m != nil && e.member != m {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return nil
	}
	e.gone = true
	names := e.rooms()
	if leaving != nil {
		leaving(names)
	}
	for m := e.list; m != nil; m = m.next {
		ix.drop(m)
	}
	for _, m := range e.many {
		ix.drop(m)
	}
	e.list, e.many, e.count = nil, nil, 0
	e.self.room.remove(&e.self)
	for _, name := range names {
		ix.left(e, name)
	}
	ix.left(e, id)
	s := ix.shard(id)
	s.mu.Lock()
	delete(s.ids, id)
	ix.closed(s, id)
	s.mu.Unlock()
	ix.numbers.give(e.num)
	if e.away {
		ix.absent.Add(-1)
	} else {
		ix.length.Add(-1)
	}
	return names
}

func (ix *index) drop(m *membership) {
	if m.room.remove(m) {
		ix.retire(m.room)
	}
}

func (ix *index) join(id string, rooms []string) (present bool, opening openings) {
	e := ix.locked(id)
	if e == nil {
		return false, nil
	}
	defer e.mu.Unlock()
	return true, ix.joinLocked(e, rooms, nil)
}

// locked returns the entry of the member called id with its lock held, or nil.
func (ix *index) locked(id string) *entry {
	for {
		e := ix.entry(id)
		if e == nil {
			return nil
		}
		e.mu.Lock()
		if !e.gone {
			return e
		}
		e.mu.Unlock() // it is out of the map by now, and another may have its place
	}
}

// joinLocked puts e, whose lock the caller holds, into rooms and appends their openings to list.
func (ix *index) joinLocked(e *entry, rooms []string, list openings) openings {
	for _, name := range rooms {
		if name == e.id {
			continue
		}
		if e.find(name) != nil {
			list = list.add(name, ix.opening(name)) // another join may be waiting for it
			continue
		}
		m := &membership{entry: e}
		ix.joined(e, name)
		r, o := ix.roomFor(name)
		for !r.add(m) {
			r, o = ix.roomFor(name)
		}
		e.link(m)
		list = list.add(name, o)
	}
	return list
}

func (ix *index) leave(id string, rooms []string) {
	e := ix.locked(id)
	if e == nil {
		return
	}
	defer e.mu.Unlock()
	for _, name := range rooms {
		if m := e.unlink(name); m != nil {
			ix.drop(m)
			ix.left(e, name)
		}
	}
}

// joined tells that the member of e, whose lock is held, is in room.
func (ix *index) joined(e *entry, room string) {
	if ix.joins != nil {
		ix.joins.joined(e.id, room)
	}
	if e.away {
		return
	}
	for _, o := range ix.observers {
		o.Joined(e.id, room)
	}
}

// left tells that the member of e, whose lock is held, is in room no more.
func (ix *index) left(e *entry, room string) {
	if ix.joins != nil {
		ix.joins.left(e.id, room)
	}
	if e.away {
		return
	}
	for _, o := range ix.observers {
		o.Left(e.id, room)
	}
}

func (ix *index) roomsOf(id string) []string {
	e := ix.locked(id)
	if e == nil {
		return nil
	}
	defer e.mu.Unlock()
	return e.rooms()
}

func (ix *index) roomCount() int {
	n := 0
	away := ix.absent.Load() > 0
	for i := range ix.shards {
		s := &ix.shards[i]
		s.mu.RLock()
		n += len(s.rooms)
		if away {
			for _, r := range s.rooms {
				if r.deserted() {
					n--
				}
			}
		}
		s.mu.RUnlock()
	}
	return n
}

// names returns the rooms, and with ids also the rooms that are a member's id. A room just made for a join that has
// not happened yet may be among them.
func (ix *index) names(ids bool) []string {
	var names []string
	away := ix.absent.Load() > 0
	for i := range ix.shards {
		s := &ix.shards[i]
		s.mu.RLock()
		for name, r := range s.rooms {
			if !away || !r.deserted() {
				names = append(names, name)
			}
		}
		if ids {
			for id, e := range s.ids {
				if s.rooms[id] == nil && !e.away {
					names = append(names, id)
				}
			}
		}
		s.mu.RUnlock()
	}
	return names
}
