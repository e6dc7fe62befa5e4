package eventlog

import (
	"sync"
	"time"

	"github.com/peal-dev/peal/message"
)

// Defaults of [Limits].
const (
	DefaultAge   = 2 * time.Minute
	DefaultCount = 100_000
	DefaultBytes = 32 << 20
)

// Limits bound a [Memory]. The zero value means the defaults.
type Limits struct {
	Age   time.Duration // of an entry; 0 means DefaultAge
	Count int           // of entries; 0 means DefaultCount
	// Bytes is how much memory the entries may take, see [Entry.Size]. 0 means DefaultBytes.
	Bytes int
}

// namesShare is which part of the number and of the bytes may be taken, beside the entries, by the names of rooms whose
// entries were trimmed: so that it is known who has missed none of them.
const namesShare = 4

// Memory is a log in the memory of this process. It begins empty, and is trimmed from the front. Create it with
// [NewMemory].
type Memory struct {
	limits Limits

	mu     sync.Mutex // protects the following
	ring   []*Entry   // its length is a power of two
	head   int        // where the oldest entry is
	bounds Bounds
	gone   trimmed
	timer  *time.Timer // trims by age; nil while there is nothing to trim
	closed bool
}

var _ Log = (*Memory)(nil)

// NewMemory returns an empty log. Nil limits mean the defaults.
func NewMemory(limits *Limits) *Memory {
	l := &Memory{}
	if limits != nil {
		l.limits = *limits
	}
	if l.limits.Age <= 0 {
		l.limits.Age = DefaultAge
	}
	if l.limits.Count <= 0 {
		l.limits.Count = DefaultCount
	}
	if l.limits.Bytes <= 0 {
		l.limits.Bytes = DefaultBytes
	}
	l.bounds.Floor = message.Offset{Ms: now(), Seq: newLife() << numberBits}
	l.bounds.Top = l.bounds.Floor
	l.gone = trimmed{limit: Limits{Count: l.limits.Count / namesShare, Bytes: l.limits.Bytes / namesShare}, horizon: l.bounds.Floor, since: l.bounds.Floor, last: l.bounds.Floor}
	return l
}

func now() uint64 { return uint64(time.Now().UnixMilli()) }

// Append implements [Log].
func (l *Memory) Append(m *message.Message, to message.Target) message.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, came := m.Offset, now()
	switch {
	case !at.IsZero() && at.Compare(l.bounds.Top) <= 0:
		l.reset(before(at)) // the longer log has begun anew
	case at.IsZero() && m.Volatile:
		return l.bounds.Top
	case at.IsZero():
		at = next(l.bounds.Top, came)
	}
	l.bounds.Top = at
	if m.Volatile {
		return at
	}
	e := &Entry{Offset: at, came: came, Data: m.Data, Attachments: m.Attachments,
		Rooms: to.Rooms, Except: to.Except, Private: to.Private}
	if l.bounds.Count == len(l.ring) {
		l.resize(max(2*len(l.ring), minRing))
	}
	l.ring[(l.head+l.bounds.Count)&(len(l.ring)-1)] = e
	l.bounds.Count++
	l.bounds.Bytes += e.Size()
	for l.bounds.Count > l.limits.Count || l.bounds.Bytes > l.limits.Bytes {
		l.drop()
	}
	l.arm()
	return e.Offset
}

// minRing is the smallest length of a ring.
const minRing = 16

func (l *Memory) resize(n int) {
	ring := make([]*Entry, n)
	for i := range l.bounds.Count {
		ring[i] = l.at(i)
	}
	l.ring, l.head = ring, 0
}

func (l *Memory) at(i int) *Entry { return l.ring[(l.head+i)&(len(l.ring)-1)] }

// drop forgets the oldest entry.
func (l *Memory) drop() {
	e := l.ring[l.head]
	l.ring[l.head] = nil
	l.head = (l.head + 1) & (len(l.ring) - 1)
	l.bounds.Floor = e.Offset
	l.gone.note(e)
	l.bounds.Count--
	l.bounds.Bytes -= e.Size()
	if n := len(l.ring); n > minRing && l.bounds.Count <= n/8 {
		l.resize(n / 2)
	}
}

// arm has the entries that are there trimmed when their time is over.
func (l *Memory) arm() {
	if l.timer == nil && l.bounds.Count > 0 && !l.closed {
		l.timer = time.AfterFunc(l.limits.Age, l.expire)
	}
}

// expire trims by age, and comes back for the next entry, but not for each of many.
func (l *Memory) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := now() - uint64(l.limits.Age/time.Millisecond)
	for l.bounds.Count > 0 && l.at(0).came <= oldest {
		l.drop()
	}
	if l.closed || l.bounds.Count == 0 {
		l.timer = nil
		return
	}
	l.timer.Reset(max(time.Duration(l.at(0).came-oldest)*time.Millisecond, l.limits.Age/16))
}

// Cover implements [Log].
func (l *Memory) Cover(after message.Offset, in *Interest) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cover(after, in)
}

func (l *Memory) cover(after message.Offset, in *Interest) error {
	err := l.bounds.Cover(after)
	if err == nil || in == nil || after.Compare(l.bounds.Top) > 0 || lifeOf(after) != lifeOf(l.bounds.Top) || l.gone.missing(after, in) {
		return err
	}
	return nil
}

// Read implements [Log].
func (l *Memory) Read(after message.Offset, in *Interest) ([]*Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.cover(after, in); err != nil {
		return nil, err
	}
	first, last := 0, l.bounds.Count
	for first < last {
		if mid := (first + last) / 2; l.at(mid).Offset.Compare(after) <= 0 {
			first = mid + 1
		} else {
			last = mid
		}
	}
	entries := make([]*Entry, 0, l.bounds.Count-first)
	for i := first; i < l.bounds.Count; i++ {
		entries = append(entries, l.at(i))
	}
	return entries, nil
}

// Trim implements [Log].
func (l *Memory) Trim(floor message.Offset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.bounds.Count > 0 && l.at(0).Offset.Compare(floor) <= 0 {
		l.drop()
	}
}

// Reset implements [Log].
func (l *Memory) Reset(floor message.Offset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset(floor)
}

func (l *Memory) reset(floor message.Offset) {
	l.ring, l.head = nil, 0
	l.bounds = Bounds{Floor: floor, Top: floor}
	l.gone = trimmed{limit: l.gone.limit, everyone: floor, horizon: floor, since: floor, last: floor}
}

// Bounds implements [Log].
func (l *Memory) Bounds() Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bounds
}

// Close implements [Log].
func (l *Memory) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}
