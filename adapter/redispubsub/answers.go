package redispubsub

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Bounds of the questions that wait.
const (
	maxQuestions = 64 // different ones
	maxAskers    = 64 // requests with the same question
)

// answers is the worker that answers the questions of other nodes about members and rooms. To describe thousands of
// members takes long: messages do not wait for it, and what waits is bounded. The oldest questions are given up first,
// for who asked them has the least time left. Requests that ask the same share one answer.
type answers struct {
	refuse func(n int) // counts requests that are given up
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // full: there is something

	mu      sync.Mutex
	waiting []*inquiry
}

// inquiry is a question of one or more requests.
type inquiry struct {
	link     *link
	key      string
	request  *request // the first
	requests []string // their ids
}

func newAnswers(refuse func(n int)) *answers {
	// The goroutine serves all namespaces, so it hangs on no caller's context.
	ctx, cancel := context.WithCancel(context.Background())
	a := &answers{refuse: refuse, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go a.run(ctx)
	return a
}

func (a *answers) close() {
	a.cancel()
	<-a.done
}

// put adds a request that was checked.
func (a *answers) put(l *link, r *request) {
	key := r.question()
	refused := 0
	a.mu.Lock()
	at := slices.IndexFunc(a.waiting, func(q *inquiry) bool { return q.link == l && q.key == key })
	switch {
	case at < 0:
		if len(a.waiting) >= maxQuestions {
			refused = len(a.waiting[0].requests)
			a.waiting = slices.Delete(a.waiting, 0, 1)
		}
		a.waiting = append(a.waiting, &inquiry{l, key, r, []string{r.RequestID}})
	default:
		q := a.waiting[at]
		if len(q.requests) >= maxAskers {
			refused = 1
			q.requests = slices.Delete(q.requests, 0, 1)
		}
		q.requests = append(q.requests, r.RequestID)
	}
	a.mu.Unlock()
	if refused > 0 {
		a.refuse(refused)
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *answers) run(ctx context.Context) {
	defer close(a.done)
	for {
		q := a.take()
		if q == nil {
			select {
			case <-ctx.Done():
				return
			case <-a.wake:
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		q.link.answer(q.request, q.requests)
	}
}

func (a *answers) take() *inquiry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return nil
	}
	q := a.waiting[0]
	a.waiting = slices.Delete(a.waiting, 0, 1)
	return q
}

// question returns a text that is the same for requests with the same answer.
func (r *request) question() string {
	var b strings.Builder
	b.WriteByte(byte('0' + *r.Type))
	list := func(names names) {
		for _, n := range names {
			b.WriteString(string(n))
			b.WriteByte(0)
		}
		b.WriteByte(1)
	}
	list(r.Rooms)
	if r.Opts != nil {
		list(r.Opts.Rooms)
		list(r.Opts.Except)
	}
	return b.String()
}
