package socketio_test

import (
	"context"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// A client that is cut again before it has read what it missed gets it then.
func TestRecoveryTwice(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a") })
	c := r.come(nil)
	<-came
	emit(t, r.io.To("a"), "n", 1)
	c.expect("n 1")
	c.leave(left)
	emit(t, r.io.To("a"), "n", 2)
	again := r.come(c)
	<-came
	again.leave(left)
	emit(t, r.io.To("a"), "n", 3)
	back := r.come(c)
	<-came
	back.expect("n 2", "n 3")
}

// Middlewares decide about a client that comes back as about any other, unless they are to be skipped.
func TestRecoveryAndMiddlewares(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		asked := make(chan bool, 16)
		var came chan *socketio.Socket
		var left chan socketio.Reason
		r := recovering(t, &socketio.Recovery{SkipMiddlewares: skip}, func(io *socketio.Server) {
			came, left = watch(io, "a")
			io.Use(func(_ context.Context, s *socketio.Socket) error {
				asked <- s.Recovered()
				return nil
			})
		})
		c := r.come(nil)
		<-came
		<-asked
		c.leave(left)
		r.come(c)
		if s := <-came; !s.Recovered() {
			t.Fatal("not recovered")
		}
		if skip != (len(asked) == 0) || !skip && !<-asked {
			t.Fatalf("SkipMiddlewares is %v, and the middleware was asked %d times", skip, len(asked))
		}
	}
}

// Official clients take the last string of an event for its offset: volatile ones end in one too, and it is never ahead.
func TestRecoveryVolatileEventsHaveTheLastOffset(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a") })
	c := r.come(nil)
	s := <-came
	c.send(`42["ping"]`) // a client that has been heard has room
	emit(t, r.io.To("a"), "n", 1)
	c.expect("n 1")
	at := c.offset
	if err := s.Volatile().Emit(s.Context(), "v", "words"); err != nil {
		t.Fatal(err)
	}
	c.expect("v words")
	if c.offset != at {
		t.Fatalf("the volatile event has the offset %s, the one before %s", c.offset, at)
	}
	c.leave(left)
	back := r.come(c)
	<-came
	emit(t, r.io.To("a"), "n", 2)
	back.expect("n 2")
}

// The official client keeps an offset that another server gave it.
func TestRecoveryWithAnOffsetOfAnotherServer(t *testing.T) {
	t.Parallel()
	for _, strange := range []string{"words", "1-1", "99999999999999-4503599627370495"} {
		var came chan *socketio.Socket
		var left chan socketio.Reason
		r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a") })
		c := r.come(nil)
		<-came
		c.offset = strange
		emit(t, r.io.To("a"), "n", 1) // and is not read
		c.leave(left)
		emit(t, r.io.To("a"), "n", 2)
		back := r.come(c)
		if s := <-came; !s.Recovered() {
			t.Fatalf("not recovered with the offset %q", strange)
		}
		back.expect("n 1", "n 2")
	}
}
