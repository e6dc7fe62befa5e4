package netconn

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

const (
	// turnTime is how long one connection may keep a poller, and roundTime those that want more than a turn, from the rest.
	turnTime  = 200 * time.Microsecond
	roundTime = time.Millisecond
	// turnSteps is how often a turn looks at the clock. Handlers take some nanoseconds to some microseconds for a step.
	turnSteps = 16
)

// Turn is how long a handler may go on with the bytes it is given before others are due.
type Turn struct {
	began time.Time
	steps uint
	over  bool
}

// Over is to be called after each thing that was found in the bytes, such as a frame, and reports whether it is time to
// return with the rest.
func (t *Turn) Over() bool {
	if t.steps++; t.steps%turnSteps != 0 {
		return t.over
	}
	now := time.Now()
	if t.began.IsZero() { // most turns are over before they are worth a look at the clock
		t.began = now
	}
	t.over = now.Sub(t.began) >= turnTime
	return t.over
}

// next begins another turn.
func (t *Turn) next() { *t = Turn{} }

// PanicError is the cause with which a connection ends whose handler panicked.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // of the goroutine, from the panic on
}

// Error returns the value of the panic.
func (e *PanicError) Error() string { return fmt.Sprintf("netconn: the handler panicked: %v", e.Value) }

// data calls the handler's Data. A panic in it is the fault of one connection and must not be the end of the others.
func (c *Conn) data(p []byte, turn *Turn) (rest []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			rest, err = nil, c.panicked("Data", v)
		}
	}()
	return c.handler.Data(c, p, turn)
}

// tellClosed calls the handler's Closed.
func (c *Conn) tellClosed() {
	defer func() {
		if v := recover(); v != nil {
			_ = c.panicked("Closed", v) // the connection has gone already
		}
	}()
	c.handler.Closed(c, c.cause)
}

func (c *Conn) panicked(method string, v any) error {
	e := &PanicError{Value: v, Stack: debug.Stack()}
	c.loop.panics.Add(1)
	c.loop.log().Error("netconn: panic in a connection's handler; the connection is closed", slog.String("method", method),
		slog.Any("panic", v), slog.String("stack", string(e.Stack)))
	return e
}
