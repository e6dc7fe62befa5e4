package socketio

import (
	"context"
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
