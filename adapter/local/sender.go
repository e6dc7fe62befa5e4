package local

import (
	"context"
	"net"
	"sync"

	"github.com/peal-dev/peal/adapter"
)

// keptShare is which part of what may wait is kept of what was sent last, to be sent again to the next host.
const keptShare = 4

// sender numbers the messages of this process and sends them to the host there is. It is safe for concurrent use.
type sender struct {
	id    string
	limit int // of what is kept, in bytes

	mu      sync.Mutex
	out     *outbox       // nil while there is no host
	there   chan struct{} // closed when there is one
	ended   bool
	number  uint64 // of the latest message
	noted   uint64 // the number that was told last
	kept    [][]byte
	keeping int    // bytes
	probing []byte // the latest probe, which may be on its way
}

func (s *sender) init(id string, queueBytes int) {
	s.id, s.limit, s.there = id, queueBytes/keptShare, make(chan struct{})
}

// start sends to a new host from now on, which gets again what the last one may not have passed on.
func (s *sender) start(out *outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, message := range s.kept {
		out.offer(net.Buffers{header(again, s.id, s.number-uint64(len(s.kept)-1-i), "", len(message)), message})
	}
	if s.probing != nil {
		out.offer(net.Buffers{header(probe, s.id, s.number, "", len(s.probing)), s.probing})
	}
	s.out, s.noted = out, 0
	close(s.there)
}

// stop has what is sent wait for another host.
func (s *sender) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out, s.there = nil, make(chan struct{})
}

// end lets whoever waits go: there will be no other host.
func (s *sender) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.out == nil {
		close(s.there)
		s.there = make(chan struct{})
	}
}

// send sends a message to all other processes. It waits while there is no host, or too much waits already.
func (s *sender) send(ctx context.Context, message []byte) error {
	for {
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			return adapter.ErrClosed
		}
		out, wait := s.out, (<-chan struct{})(s.there)
		if out != nil {
			if wait = out.offer(net.Buffers{header(numbered, s.id, s.number+1, "", len(message)), message}); wait == nil {
				s.number++
				s.keep(message)
				s.mu.Unlock()
				return nil
			}
		}
		s.mu.Unlock()
		var ended <-chan struct{}
		if out != nil {
			ended = out.done
		}
		select {
		case <-wait:
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// keep keeps a message that was sent. It is called with mu held.
func (s *sender) keep(message []byte) {
	s.kept, s.keeping = append(s.kept, message), s.keeping+len(message)
	for s.keeping > s.limit {
		s.keeping -= len(s.kept[0])
		s.kept[0] = nil
		s.kept = s.kept[1:]
	}
}

// post sends a message that is not worth waiting for, of a kind but numbered. An error means that it was not sent.
func (s *sender) post(k kind, to string, message []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k == probe {
		s.probing = message
	}
	switch {
	case s.out == nil && k == probe:
		return nil // the next host gets it
	case s.out == nil:
		return adapter.ErrUnavailable
	case s.out.offer(net.Buffers{header(k, s.id, s.number, to, len(message)), message}) != nil:
		return adapter.ErrOverloaded
	}
	return nil
}

// tell says which message was the latest, if that was not said: who misses it knows then.
func (s *sender) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != nil && s.noted != s.number && s.out.offer(net.Buffers{header(note, s.id, s.number, "", 0)}) == nil {
		s.noted = s.number
	}
}
