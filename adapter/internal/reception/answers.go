package reception

import (
	"sync"

	"github.com/peal-dev/peal/internal/service"
)

// Bounds of the answers that wait, of one namespace.
const (
	maxAnswers     = 1 << 16
	maxAnswerBytes = 64 << 20
)

// Answers are the answers to a node's calls that have come and are not decoded yet. They stand apart from the [Inbox]:
// messages do not wait for them, and one that is dropped is no gap. The goroutine is there only while there is something
// to do. It is safe for concurrent use.
type Answers[T any] struct {
	monitor *Monitor
	handle  func(T)

	mu      sync.Mutex
	waiting []T
	bytes   int
	running bool
	work    service.Gate
}

// NewAnswers returns answers for which handle is called, one after another. Close them.
func NewAnswers[T any](m *Monitor, handle func(T)) *Answers[T] {
	return &Answers[T]{monitor: m, handle: handle}
}

// Put adds an answer of so many bytes and does not wait. Without room it is dropped, and counted.
func (q *Answers[T]) Put(v T, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && (len(q.waiting) >= maxAnswers || q.bytes+size > maxAnswerBytes) {
		q.monitor.Dropped.Add(1)
		return
	}
	q.waiting, q.bytes = append(q.waiting, v), q.bytes+size
	if !q.running {
		q.running = q.work.Go(q.drain)
	}
}

func (q *Answers[T]) drain() {
	for {
		q.mu.Lock()
		batch := q.waiting
		q.waiting, q.bytes = nil, 0
		if len(batch) == 0 || q.work.IsShut() {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		for _, v := range batch {
			q.handle(v)
		}
	}
}

// Close gives up what waits, and returns when handle has returned.
func (q *Answers[T]) Close() { <-q.work.Shut() }
