package redispubsub

import (
	"sync"
	"sync/atomic"
	"time"
)

// received is a message as Redis sent it.
type received struct {
	channel string
	payload []byte
	at      time.Time
}

func (m *received) size() int { return len(m.channel) + len(m.payload) }

// inbox is what Redis has sent for one namespace and its worker has not got to yet. One goroutine receives for all
// namespaces and only puts messages here: the walk through the members of one holds up no other. It is bounded by number
// and by bytes. What comes while it is full is dropped, until it is half empty.
type inbox struct {
	namespace        string
	maxLen, maxBytes int
	gaps             *gaps
	wake             chan struct{} // full: there is something

	mu      sync.Mutex
	items   []received // from head on
	head    int
	bytes   int
	full    *Gap   // from the first message that is dropped until half is handled
	dropped uint64 // since then

	// handling is when the message came that the worker has in hand, in Unix nanoseconds, and 0 while it has none.
	handling atomic.Int64
}

func newInbox(namespace string, maxLen, maxBytes int, g *gaps) *inbox {
	return &inbox{namespace: namespace, maxLen: maxLen, maxBytes: maxBytes, gaps: g, wake: make(chan struct{}, 1)}
}

// put adds m and reports whether there was room. On changes, the rooms of members depend for good: they have twice the
// room.
func (b *inbox) put(m received, change bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, room := len(b.items)-b.head, 1
	if change {
		room = 2
	}
	tooMany := n >= room*b.maxLen || b.bytes+m.size() > room*b.maxBytes
	if n > 0 && (tooMany || b.full != nil && !change) { // an empty one takes a message of any size
		if b.full == nil {
			b.full = b.gaps.begin(Gap{Cause: GapOverflow, Namespace: b.namespace, From: m.at})
		}
		b.dropped++
		return false
	}
	if b.head > 0 && len(b.items) == cap(b.items) {
		n := copy(b.items, b.items[b.head:])
		clear(b.items[n:])
		b.items, b.head = b.items[:n], 0
	}
	b.items = append(b.items, m)
	b.bytes += m.size()
	if n == 0 {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// keepCap is how much room an empty inbox keeps.
const keepCap = 1024

// take returns the oldest message. It reports false when there is none.
func (b *inbox) take() (m received, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.head == len(b.items) {
		b.handling.Store(0)
		return received{}, false
	}
	m = b.items[b.head]
	b.items[b.head] = received{}
	b.head++
	b.bytes -= m.size()
	if b.head == len(b.items) {
		b.items, b.head = b.items[:0], 0
		if cap(b.items) > keepCap {
			b.items = nil
		}
	}
	b.handling.Store(m.at.UnixNano())
	if b.full != nil && len(b.items)-b.head <= b.maxLen/2 && b.bytes <= b.maxBytes/2 {
		b.gaps.end(b.full, time.Now(), b.dropped)
		b.full, b.dropped = nil, 0
	}
	return m, true
}

// len returns how many messages wait.
func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) - b.head
}

// behind returns how long the message that is handled now, the oldest, has been here.
func (b *inbox) behind() time.Duration {
	at := b.handling.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at))
}
