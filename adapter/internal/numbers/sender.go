package numbers

import (
	"slices"
	"sync"
)

// What a [Sender] keeps of its beats, for nodes that have missed some.
const (
	keptBeats = 1024
	keptBytes = 1 << 20
)

const (
	// dueRooms and dueMessages are after how many messages for rooms, and of any kind, a beat is due before its time. They
	// bound what a beat has to say and what receivers note.
	dueRooms    = maxRooms / 2
	dueMessages = 1 << 14
)

// Sender counts what one publisher has published. The zero value is ready. It is safe for concurrent use, but Sent, Next
// and Told belong in the order of what is published, and so to who publishes.
type Sender struct {
	mu      sync.Mutex
	number  uint64     // of the latest beat that was made
	all     uint64     // published since then, as the rest
	rooms   []Audience // one for each message
	doubts  []doubt
	vague   bool
	news    bool // there is something to tell
	asked   bool // Due has said so
	kept    [][]byte
	keeping int
}

// Sent counts a message. A nil err says that the broker has it; any other, that it is not known. What is known not to have
// been published is not counted at all.
func (s *Sender) Sent(to Audience, payload []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news = true
	switch {
	case err != nil && len(s.doubts) >= maxDoubt:
		s.vague = true
	case err != nil:
		s.doubts = append(s.doubts, doubt{to, digestOf(payload)})
	case to == All:
		s.all++
	case len(s.rooms) >= maxRooms:
		s.vague = true // beats were not published for long
	default:
		s.rooms = append(s.rooms, to)
	}
}

// Due reports whether so much was counted that a beat should be published at once. It says so once for each beat.
func (s *Sender) Due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked || len(s.rooms) < dueRooms && s.all+uint64(len(s.rooms)) < dueMessages {
		return false
	}
	s.asked = true
	return true
}

// Pending reports whether there is something to tell: a beat is to be published within the second.
func (s *Sender) Pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

// Greet has there be a beat even if there is nothing to tell: somebody is new, or this publisher is.
func (s *Sender) Greet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news = true
}

// Next returns the beat to be published now, as the first after all that was counted, or nil if there is nothing to tell.
// Told is to follow. The bytes do not change any more.
func (s *Sender) Next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = false
	if !s.news {
		return nil
	}
	s.number++
	b := (&beat{number: s.number, all: s.all, rooms: countRooms(s.rooms), doubts: s.doubts, vague: s.vague}).append(nil)
	s.all, s.rooms, s.doubts, s.vague, s.news = 0, s.rooms[:0], s.doubts[:0], false, false
	if cap(s.rooms) > keptNotes {
		s.rooms = nil
	}
	s.kept, s.keeping = append(s.kept, b), s.keeping+len(b)
	for len(s.kept) > keptBeats || s.keeping > keptBytes {
		s.keeping -= len(s.kept[0])
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	return payloadOf(b)
}

// Told says what became of the beat that Next has returned. If it is not known that the broker has it, another is to
// follow: who has missed the first sees that by its number, and asks. It cannot be published again itself, for it would not
// be in its place.
func (s *Sender) Told(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news = s.news || err != nil
}

// Again returns the beats from first to last, for somebody who has missed them. Of those that are not kept any more, one
// says so for all.
func (s *Sender) Again(first, last uint64) (payloads [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.number + 1 - uint64(len(s.kept))
	if first < oldest && first > 0 {
		payloads = append(payloads, payloadOf((&beat{number: first, gone: true}).append(nil)))
	}
	var several [][]byte
	size := 0
	for n := max(first, oldest); n <= min(last, s.number); n++ {
		b := s.kept[n-oldest]
		if size += len(b); size > severalBytes && len(several) > 0 {
			payloads = append(payloads, payloadOf(several...))
			several, size = several[:0], len(b)
		}
		several = append(several, b)
	}
	if len(several) > 0 {
		payloads = append(payloads, payloadOf(several...))
	}
	return payloads
}

// countRooms counts equal rooms, and sorts them on the way.
func countRooms(rooms []Audience) (counts []count) {
	slices.Sort(rooms)
	for i, r := range rooms {
		if i == 0 || r != rooms[i-1] {
			counts = append(counts, count{room: r})
		}
		counts[len(counts)-1].n++
	}
	return counts
}
