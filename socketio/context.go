package socketio

import (
	"context"
	"slices"
	"time"
)

// life is the lifetime context of a socket, made when somebody first waits for its end.
type life struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Context returns a context that is done when the socket is disconnected; its cause is [ErrDisconnected]. Handlers are
// given the same. It costs no memory until something waits for it.
func (s *Socket) Context() context.Context { return (*socketContext)(s) }

// socketContext makes the real context only for those who ask for its end. Passing Value on to it lets the context
// package find it and derive contexts without a goroutine for each.
type socketContext Socket

func (c *socketContext) real() context.Context {
	s := (*Socket)(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.more()
	if x.life.ctx == nil {
		x.life.ctx, x.life.cancel = context.WithCancelCause(context.Background())
		if s.state.Load() == stateClosed {
			x.life.cancel(ErrDisconnected)
		}
	}
	return x.life.ctx
}

func (c *socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *socketContext) Done() <-chan struct{}       { return c.real().Done() }

func (c *socketContext) Err() error {
	if (*Socket)(c).state.Load() == stateClosed {
		return c.real().Err()
	}
	return nil
}

// Value is nil for every key but the one by which the context package looks for a context it made, which it does only
// after Done.
func (c *socketContext) Value(key any) any {
	s := (*Socket)(c)
	x := s.extra.Load()
	if x == nil {
		return nil
	}
	s.mu.Lock()
	ctx := x.life.ctx
	s.mu.Unlock()
	if ctx == nil {
		return nil
	}
	return ctx.Value(key)
}

// datum is one value that the program keeps with a socket. There are few: a slice is smaller than a map.
type datum struct {
	key   string
	value any
}

// Set keeps a value with the socket, under key. A nil value removes it.
func (s *Socket) Set(key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.more()
	i := slices.IndexFunc(x.data, func(d datum) bool { return d.key == key })
	switch {
	case i >= 0 && value == nil:
		x.data = slices.Delete(x.data, i, i+1)
	case i >= 0:
		x.data[i].value = value
	case value != nil:
		x.data = append(x.data, datum{key, value})
	}
}

// Get returns the value that [Socket.Set] keeps under key, or nil.
func (s *Socket) Get(key string) any {
	x := s.extra.Load()
	if x == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range x.data {
		if d.key == key {
			return d.value
		}
	}
	return nil
}
