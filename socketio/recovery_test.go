package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/socketio"
)

// traveller is a client that keeps what the official one keeps: pid and offset.
type traveller struct {
	*peer
	sid, pid, offset string
}

// recovering starts a server with recovery whose sockets join the room "a".
func recovering(t *testing.T, opts *socketio.Recovery, setup func(io *socketio.Server)) *rig {
	t.Helper()
	return newRig(t, &socketio.Options{Recovery: opts}, setup)
}

// come connects as the client that t was before, if it was.
func (r *rig) come(old *traveller) *traveller {
	r.t.Helper()
	p := r.dial()
	auth := map[string]string{}
	if old != nil {
		auth["pid"] = old.pid
		if old.offset != "" {
			auth["offset"] = old.offset
		}
	}
	raw, err := json.Marshal(auth)
	if err != nil {
		r.t.Fatal(err)
	}
	p.send("40" + string(raw))
	answer := p.read()
	var connect struct{ SID, PID string }
	rest, ok := strings.CutPrefix(answer, "40")
	if !ok || json.Unmarshal([]byte(rest), &connect) != nil || connect.PID == "" {
		r.t.Fatalf("no CONNECT with a pid but %q", answer)
	}
	c := &traveller{peer: p, sid: connect.SID, pid: connect.PID}
	if old != nil {
		c.offset = old.offset
	}
	return c
}

// event reads an event and keeps its offset, as the official client does.
func (c *traveller) event() string {
	c.t.Helper()
	got := c.read()
	if offset, first := strings.CutPrefix(got, `42["peal:offset","`); first {
		c.offset = strings.TrimSuffix(offset, `"]`)
		got = c.read()
	}
	var args []any
	if json.Unmarshal([]byte(strings.TrimPrefix(got, "42")), &args) != nil || len(args) == 0 {
		c.t.Fatalf("no event but %q", got)
	}
	if last, ok := args[len(args)-1].(string); ok {
		c.offset = last
		args = args[:len(args)-1]
	} else {
		c.t.Fatalf("%q ends in no offset", got)
	}
	return strings.TrimSpace(fmt.Sprintln(args...))
}

// expect reads events and compares.
func (c *traveller) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.event(); got != w {
			c.t.Fatalf("received %q, want %q", got, w)
		}
	}
}

// leave breaks the connection and waits until the server knows.
func (c *traveller) leave(left <-chan socketio.Reason) {
	c.t.Helper()
	c.conn.CloseNow()
	select {
	case <-left:
	case <-time.After(patience):
		c.t.Fatal("the server does not notice that the client has left")
	}
}

// watch has sockets join the rooms and returns the channel of those that left, and that of those that came.
func watch(io *socketio.Server, rooms ...string) (came chan *socketio.Socket, left chan socketio.Reason) {
	came, left = make(chan *socketio.Socket, 16), make(chan socketio.Reason, 16)
	io.OnConnect(func(s *socketio.Socket) {
		if !s.Recovered() {
			_ = s.Join(context.Background(), rooms...)
		}
		came <- s
	})
	io.OnDisconnect(func(_ *socketio.Socket, reason socketio.Reason) { left <- reason })
	return came, left
}

func emit(t *testing.T, b socketio.Broadcast, event string, args ...any) {
	t.Helper()
	if err := b.Emit(context.Background(), event, args...); err != nil {
		t.Fatal(err)
	}
}

func TestRecoveryGivesWhatWasMissed(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a") })
	c := r.come(nil)
	s := <-came
	s.Set("name", "Ann")
	emit(t, r.io.To("a"), "n", 1)
	if err := s.Emit(s.Context(), "n", 2); err != nil {
		t.Fatal(err)
	}
	c.expect("n 1", "n 2")
	c.leave(left)

	other := r.come(nil)
	<-came
	emit(t, r.io.To("a"), "n", 3)
	emit(t, r.io.To("elsewhere"), "n", "not for it")
	emit(t, r.io.To(c.sid), "n", 4)
	emit(t, r.io.Broadcast(), "n", 5)
	emit(t, r.io.Except(c.sid), "n", "not for it")
	emit(t, r.io.Except("a"), "n", "not for it")
	emit(t, r.io.Volatile(), "n", "not kept")
	other.conn.CloseNow()

	back := r.come(c)
	again := <-came
	if back.sid != c.sid || back.pid != c.pid || again.ID() != c.sid || !again.Recovered() {
		t.Fatalf("came back as %s (recovered: %v), was %s", again.ID(), again.Recovered(), c.sid)
	}
	if name := again.Get("name"); name != "Ann" {
		t.Fatalf("its name is %v", name)
	}
	if rooms := again.Rooms(); len(rooms) != 1 || rooms[0] != "a" {
		t.Fatalf("it is in the rooms %v", rooms)
	}
	emit(t, r.io.To("a"), "n", 6)
	back.expect("n 3", "n 4", "n 5", "n 6")
	if st := r.io.Stats(); st.Recovered != 1 || st.NotRecovered != 0 {
		t.Fatalf("%d recovered, %d not", st.Recovered, st.NotRecovered)
	}
}

// A client that never got an event says no offset.
func TestRecoveryOfOneThatGotNothing(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a") })
	first := r.come(nil)
	<-came
	emit(t, r.io.To("a"), "n", "before its time")
	first.expect("n before its time")
	c := r.come(nil)
	<-came
	c.leave(left)
	emit(t, r.io.To("a"), "n", 1)
	back := r.come(c)
	if s := <-came; !s.Recovered() {
		t.Fatal("not recovered")
	}
	back.expect("n 1")
}

// The official client keeps its offset when it gets a new session: that must not bring messages of before.
func TestRecoveryWithAnOffsetOfAnEarlierSession(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a") })
	c := r.come(nil)
	<-came
	emit(t, r.io.To("a"), "n", 1)
	c.expect("n 1")
	emit(t, r.io.To("a"), "n", "of the earlier session")
	stale := c.offset
	c.leave(left)
	c = r.come(nil)
	<-came
	c.offset = stale
	c.leave(left)
	emit(t, r.io.To("a"), "n", 2)
	back := r.come(c)
	<-came
	back.expect("n 2")
}

// What a room received before the socket joined is not for it.
func TestRecoveryGivesNothingFromBeforeAJoin(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io) })
	c := r.come(nil)
	s := <-came
	emit(t, r.io.Broadcast(), "n", 1)
	c.expect("n 1")
	emit(t, r.io.To("late"), "n", "before the join")
	if err := r.io.In(c.sid).Join(t.Context(), "late"); err != nil { // as another node would ask for
		t.Fatal(err)
	}
	emit(t, r.io.To("late"), "n", 2)
	c.expect("n 2")
	c.offset = "" // as if none of it had arrived
	_ = s
	c.leave(left)
	back := r.come(c)
	<-came
	back.expect("n 1", "n 2")
}

// A client may be back before the server knows that it was gone.
func TestRecoveryTakesOverALivingConnection(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) { came, left = watch(io, "a") })
	c := r.come(nil)
	<-came
	emit(t, r.io.To("a"), "n", 1)
	c.expect("n 1")
	emit(t, r.io.To("a"), "n", 2) // and is never read
	back := r.come(c)
	if reason := <-left; reason != socketio.ReasonTransportClose {
		t.Fatalf("the old socket left for %q", reason)
	}
	if s := <-came; !s.Recovered() || s.ID() != c.sid {
		t.Fatal("not recovered")
	}
	back.expect("n 2")
	if n := r.io.Adapter().RoomLen("a"); n != 1 {
		t.Fatalf("%d sockets in the room", n)
	}
}

func TestRecoveryIsRefused(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{MaxMessages: 3}, func(io *socketio.Server) { came, left = watch(io, "a") })
	fresh := func(why string, c *traveller) {
		t.Helper()
		back := r.come(c)
		if s := <-came; s.Recovered() || back.sid == c.sid {
			t.Fatalf("recovered, %s", why)
		}
		emit(t, r.io.To("a"), "n", why)
		back.expect("n " + why)
		back.leave(left)
	}
	gone := func() *traveller {
		c := r.come(nil)
		<-came
		emit(t, r.io.To("a"), "n", 0)
		c.expect("n 0")
		c.leave(left)
		return c
	}

	c := gone()
	c.pid = c.sid + strings.Repeat("A", 20)
	fresh("with a forged pid", c)
	c = gone()
	for i := range 4 {
		emit(t, r.io.To("a"), "n", i)
	}
	fresh("with more missed than is kept", c)

	c = gone()
	back := r.come(c)
	if s := <-came; !s.Recovered() {
		t.Fatal("not recovered")
	} else {
		s.Disconnect(s.Context(), true)
	}
	<-left
	back.conn.CloseNow()
	fresh("after the server disconnected it", c)

	c = r.come(nil)
	<-came
	c.send("41")
	<-left
	c.conn.CloseNow()
	fresh("after it left the namespace", c)
}

// A client for which there was nothing for longer than the log goes back has missed nothing, and what it misses then is there.
func TestRecoveryOfAnIdleClient(t *testing.T) {
	t.Parallel()
	for _, heard := range []bool{true, false} { // whether it ever received anything, and so has an offset
		for _, dying := range []bool{true, false} { // whether its connection was there still, as far as the server knew
			var came chan *socketio.Socket
			var left chan socketio.Reason
			r := recovering(t, &socketio.Recovery{MaxMessages: 3}, func(io *socketio.Server) { came, left = watch(io, "a") })
			c := r.come(nil)
			<-came
			if heard {
				emit(t, r.io.To(c.sid), "n", 1)
				c.expect("n 1")
			}
			idle := func() {
				for range 10 {
					emit(t, r.io.To("others"), "n", 0)
				}
			}
			idle()
			if dying {
				emit(t, r.io.To("a"), "n", 2)
				emit(t, r.io.To("others"), "n", 0)
			}
			c.leave(left)
			if !dying {
				idle()
				emit(t, r.io.To("a"), "n", 2)
			}
			emit(t, r.io.To(c.sid), "n", 3)
			back := r.come(c)
			if s := <-came; !s.Recovered() {
				t.Fatalf("not recovered (heard: %v, dying: %v)", heard, dying)
			}
			back.expect("n 2", "n 3")
			back.leave(left)
			// What it misses and is not there any more is not passed over.
			emit(t, r.io.To("a"), "n", 4)
			idle()
			emit(t, r.io.To("a"), "n", 5)
			if again := r.come(back); (<-came).Recovered() || again.sid == c.sid {
				t.Fatalf("recovered without number 4 (heard: %v, dying: %v)", heard, dying)
			}
		}
	}
}
