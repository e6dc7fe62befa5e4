package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// ask sends the CONNECT with which a client that was c comes back, and does not wait for the answer.
func (r *rig) ask(c *traveller) *peer {
	r.t.Helper()
	p := r.dial()
	c.connect(p)
	return p
}

func (c *traveller) connect(p *peer) {
	auth := map[string]string{"pid": c.pid}
	if c.offset != "" {
		auth["offset"] = c.offset
	}
	raw, _ := json.Marshal(auth)
	p.send("40" + string(raw))
}

// An attempt to come back that is cut while middlewares run, or refused by one, gives the session back as it was, and
// another need not wait for it.
func TestRecoveryAfterAnAttemptThatFailed(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	asked, verdict := make(chan *socketio.Socket), make(chan error)
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) {
		came, left = watch(io, "a")
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			if !s.Recovered() {
				return nil
			}
			asked <- s
			return <-verdict
		})
	})
	c := r.come(nil)
	receive(t, came).Set("name", "Ann")
	emit(t, r.io.To("a"), "n", 1)
	c.expect("n 1")
	c.leave(left)
	emit(t, r.io.To("a"), "n", 2)

	cut := r.ask(c)
	s := receive(t, asked)
	s.Set("name", "Bob")
	cut.close()
	<-s.Context().Done()
	verdict <- nil

	refused := r.ask(c)
	receive(t, asked)
	verdict <- errors.New("the token is too old")
	if answer := refused.read(); !strings.HasPrefix(answer, "44") {
		t.Fatalf("the answer is %q", answer)
	}

	c.connect(refused) // on the same connection
	slow := receive(t, asked)
	rival := r.ask(c) // while that is being decided
	receive(t, asked)
	refused.wantClosed()
	verdict <- nil // of one of the two
	verdict <- nil
	again := receive(t, came)
	if name := again.Get("name"); !again.Recovered() || again.ID() != c.sid || name != "Ann" {
		t.Fatalf("recovered: %v, as %s called %v", again.Recovered(), again.ID(), name)
	}
	if again == slow || slow.Connected() {
		t.Fatal("it was not the last who came")
	}
	if id := rival.joined(""); id != c.sid {
		t.Fatalf("came back as %s", id)
	}
	(&traveller{peer: rival}).expect("n 2")
	if st := r.io.Stats(); st.Recovered != 1 {
		t.Fatalf("%d were recovered", st.Recovered)
	}
	rival.close()
	receive(t, left)
	// Nobody has heard of the others.
	if len(came) != 0 || len(left) != 0 {
		t.Fatalf("%d more came and %d left", len(came), len(left))
	}
}

// A program that disconnects somebody who is coming back means that client.
func TestRecoveryAfterAMiddlewareDisconnected(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) {
		came, left = watch(io, "a")
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			if s.Recovered() {
				return s.Disconnect(ctx, false)
			}
			return nil
		})
	})
	c := r.come(nil)
	<-came
	c.leave(left)
	if answer := r.ask(c).read(); !strings.HasPrefix(answer, "44") {
		t.Fatalf("the answer is %q", answer)
	}
	if back := r.come(c); (<-came).Recovered() || back.sid == c.sid {
		t.Fatal("recovered")
	}
}

// What is emitted in a middleware of somebody who comes back has its place behind what was missed, and comes once.
func TestRecoveryAndEventsOfMiddlewares(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) {
		came, left = watch(io, "a")
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			if s.Recovered() {
				if got := fmt.Sprint(s.Rooms()); got != "[a b]" && got != "[b a]" {
					t.Errorf("it is in the rooms %s", got)
				}
				if err := s.Leave(ctx, "b"); err != nil {
					return err
				}
				return s.Emit(ctx, "n", 2)
			}
			return s.Join(ctx, "b")
		})
	})
	c := r.come(nil)
	<-came
	c.leave(left)
	emit(t, r.io.To("a"), "n", 1)
	back := r.come(c)
	<-came
	emit(t, r.io.To("b"), "n", "not for it")
	emit(t, r.io.To("a"), "n", 3)
	back.expect("n 1", "n 2", "n 3")
}

// What is done with members is done with those who are away too.
func TestRecoveryOfOneThatIsMeantWhileAway(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(io *socketio.Server, id string) error
		back bool
		want string
	}{
		"left by id":           {func(io *socketio.Server, id string) error { return io.In(id).Leave(t.Context(), "a") }, true, "b 1 c"},
		"left by room":         {func(io *socketio.Server, _ string) error { return io.In("b").Leave(t.Context(), "a") }, true, "b 1 c"},
		"left all":             {func(io *socketio.Server, _ string) error { return io.Broadcast().Leave(t.Context(), "a", "b") }, true, "c"},
		"excepted":             {func(io *socketio.Server, id string) error { return io.Except(id).Leave(t.Context(), "a") }, true, "a 1 b 1 a 2 c"},
		"joined":               {func(io *socketio.Server, id string) error { return io.In("a").Join(t.Context(), "d") }, true, "a 1 b 1 a 2 d 2 c"},
		"disconnected by id":   {func(io *socketio.Server, id string) error { return io.In(id).Disconnect(t.Context(), false) }, false, ""},
		"disconnected by room": {func(io *socketio.Server, _ string) error { return io.In("a").Disconnect(t.Context(), true) }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var came chan *socketio.Socket
			var left chan socketio.Reason
			r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a", "b") })
			c := r.come(nil)
			<-came
			c.leave(left)
			for _, room := range []string{"a", "b", "d"} {
				emit(t, r.io.To(room), room, 1)
			}
			if err := tt.do(r.io, c.sid); err != nil {
				t.Fatal(err)
			}
			if n := r.io.Adapter().RoomLen("a") + r.io.Adapter().Len() + len(r.io.Adapter().Rooms()); n != 0 {
				t.Errorf("%d are there though the only one is away", n)
			}
			for _, room := range []string{"a", "d"} {
				emit(t, r.io.To(room), room, 2)
			}
			back := r.come(c)
			if s := <-came; s.Recovered() != tt.back {
				t.Fatalf("recovered: %v", s.Recovered())
			}
			emit(t, r.io.To(back.sid), "c")
			var got []string
			for len(got) == 0 || tt.back && got[len(got)-1] != "c" {
				got = append(got, back.event())
			}
			if tt.back && strings.Join(got, " ") != tt.want {
				t.Errorf("received %q, want %q", strings.Join(got, " "), tt.want)
			}
		})
	}
}

// A client takes over from itself and is cut all the time, in all places, while events are sent to its socket, whichever
// that is, and to its room. All that were taken arrive, in order and once.
func TestRecoveryLosesNothing(t *testing.T) {
	t.Parallel()
	const events = 3000
	var current atomic.Pointer[socketio.Socket]
	ready := make(chan struct{}, 1)
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) {
			if !s.Recovered() {
				_ = s.Join(context.Background(), "a")
			}
			if current.Swap(s) == nil {
				ready <- struct{}{}
			}
		})
	})
	c := r.come(nil)
	receive(t, ready)
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := range events {
			for {
				var err error
				if i%3 == 0 {
					err = r.io.To("a").Emit(context.Background(), "n", i)
				} else {
					err = current.Load().Emit(context.Background(), "n", i)
				}
				if err == nil {
					break
				}
				if !errors.Is(err, socketio.ErrDisconnected) {
					t.Error(err)
					return
				}
			}
		}
	})
	next := 0
	rng := rand.New(rand.NewPCG(1, 2))
	for next < events {
		p := c.peer
		for range rng.IntN(80) { // then it is cut, or is there still when it comes again
			text, err := p.next()
			if err != nil {
				break // one of the attempts before was heard later
			}
			var args []any
			if err := json.Unmarshal([]byte(text[2:]), &args); err != nil || len(args) != 3 {
				t.Fatalf("%q", text)
			}
			if args[1] != float64(next) {
				t.Fatalf("received %v, want %d", args[1], next)
			}
			c.offset = args[2].(string)
			if next++; next == events {
				break
			}
		}
		if rng.IntN(2) == 0 {
			p.close()
		}
		for range rng.IntN(3) { // attempts that are cut in their middle
			attempt := r.ask(c)
			if rng.IntN(2) == 0 {
				attempt.close()
			}
		}
		c.peer = nil
		for c.peer == nil {
			p := r.ask(c)
			answer, err := p.next()
			if err != nil {
				continue // one of the attempts was heard later than this one
			}
			if !strings.HasPrefix(answer, `40{"sid":"`+c.sid) {
				t.Fatalf("not recovered after %d of %d: %s", next, events, answer)
			}
			c.peer = p
		}
	}
	sending.Wait()
}
