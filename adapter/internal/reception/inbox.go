package reception

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/service"
)

// Inbox is what a broker has sent for one namespace and nobody has got to yet. The goroutine that receives for all
// namespaces only puts messages here, and one of each inbox handles them: the walk through the members of a namespace
// holds up no other. It is bounded by number and by bytes. What comes while it is full is dropped, until it is half empty:
// a gap. It is safe for concurrent use.
type Inbox[T any] struct {
	monitor          *Monitor
	namespace        string
	maxLen, maxBytes int
	handle           func(T)
	wake             chan struct{} // full: there is something
	worker           *service.Service

	mu      sync.Mutex
	items   []item[T] // from head on
	head    int
	bytes   int
	full    *adapter.Gap  // from the first message that is dropped until half is handled
	dropped uint64        // since then
	room    chan struct{} // closed when half is handled; nil while nobody waits for that

	// handling is when the message came that is handled now, in Unix nanoseconds, and 0 while there is none.
	handling atomic.Int64
}

// item is a message with what is to be known of it here.
type item[T any] struct {
	value T
	size  int
	at    time.Time
}

// NewInbox returns an inbox of namespace, in which so many messages and bytes may wait, and starts to call handle for each,
// one after another. Close it.
func NewInbox[T any](m *Monitor, namespace string, maxLen, maxBytes int, handle func(T)) *Inbox[T] {
	b := newInbox(m, namespace, maxLen, maxBytes, handle)
	b.worker = service.Start(b.work)
	return b
}

func newInbox[T any](m *Monitor, namespace string, maxLen, maxBytes int, handle func(T)) *Inbox[T] {
	return &Inbox[T]{monitor: m, namespace: namespace, maxLen: maxLen, maxBytes: maxBytes, handle: handle, wake: make(chan struct{}, 1)}
}

// Put adds a message of so many bytes, which came just now, and does not wait. Without room the message is dropped, and
// counted. On a change, the rooms of members depend for good: it has twice the room.
func (b *Inbox[T]) Put(v T, size int, change bool) {
	if !b.put(item[T]{v, size, time.Now()}, change) {
		b.monitor.Dropped.Add(1)
	}
}

// put reports whether there was room.
func (b *Inbox[T]) put(m item[T], change bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, room := len(b.items)-b.head, 1
	if change {
		room = 2
	}
	tooMany := n >= room*b.maxLen || b.bytes+m.size > room*b.maxBytes
	if n > 0 && (tooMany || b.full != nil && !change) { // an empty one takes a message of any size
		if b.full == nil {
			b.full = b.monitor.Begin(adapter.Gap{Cause: adapter.GapOverflow, Namespace: b.namespace, From: m.at})
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
	b.bytes += m.size
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
func (b *Inbox[T]) take() (m item[T], ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.head == len(b.items) {
		b.handling.Store(0)
		return item[T]{}, false
	}
	m = b.items[b.head]
	b.items[b.head] = item[T]{}
	b.head++
	b.bytes -= m.size
	if b.head == len(b.items) {
		b.items, b.head = b.items[:0], 0
		if cap(b.items) > keepCap {
			b.items = nil
		}
	}
	b.handling.Store(m.at.UnixNano())
	if len(b.items)-b.head > b.maxLen/2 || b.bytes > b.maxBytes/2 {
		return m, true
	}
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
	if b.full != nil {
		b.monitor.gaps.end(b.full, time.Now(), b.dropped)
		b.full, b.dropped = nil, 0
	}
	return m, true
}

// Room returns nil if there is room for a message of so many bytes, and else what is closed when half has been handled: a
// driver whose broker keeps what is not read may wait for that instead of having messages dropped.
func (b *Inbox[T]) Room(size int) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.items) - b.head; n == 0 || n < b.maxLen && b.bytes+size <= b.maxBytes {
		return nil
	}
	if b.room == nil {
		b.room = make(chan struct{})
	}
	return b.room
}

// work handles one message after another until the inbox is closed.
func (b *Inbox[T]) work(ctx context.Context) {
	for ctx.Err() == nil {
		m, ok := b.take()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-b.wake:
			}
			continue
		}
		b.handle(m.value)
	}
}

// Len returns how many messages wait.
func (b *Inbox[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) - b.head
}

// Behind returns how long the message that is handled now, the oldest, has been here.
func (b *Inbox[T]) Behind() time.Duration {
	at := b.handling.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at))
}

// Close gives up what waits, and returns when handle has returned.
func (b *Inbox[T]) Close() { b.worker.Stop() }
