package socketio_test

import (
	"context"
	"testing"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

// slowMember holds a broadcast up.
type slowMember struct{ reached, release chan struct{} }

func (m *slowMember) ID() string { return "slow" }
func (m *slowMember) Deliver(*message.Message) {
	close(m.reached)
	<-m.release
}
func (m *slowMember) Disconnect(bool) {}

// Clients that leave a namespace while a broadcast is on its way through it hold up nobody who shares their poller, and
// leave all the same.
func TestLeavingWaitsForNobody(t *testing.T) {
	t.Parallel()
	const leave = 16 // more than there are pollers
	left := make(chan socketio.Reason, leave)
	slow := &slowMember{make(chan struct{}), make(chan struct{})}
	r := newRig(t, nil, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) { _ = s.Join(t.Context(), "a") })
		io.OnDisconnect(func(_ *socketio.Socket, reason socketio.Reason) { left <- reason })
		io.Of("/b").On("echo", func(v int) int { return v })
		if _, err := io.Of("/").Adapter().Add(t.Context(), slow, "a"); err != nil {
			t.Fatal(err)
		}
	})
	peers, others := make([]*peer, leave), make([]*peer, leave)
	for i := range peers {
		peers[i], _ = r.join()
		others[i] = r.dial()
		others[i].join("/b")
	}
	root := r.io.Of("/")
	walked := make(chan error, 1)
	go func() { walked <- root.To("a").Emit(context.WithoutCancel(t.Context()), "x") }()
	<-slow.reached
	for _, p := range peers {
		p.send("41")
	}
	for _, p := range others {
		p.send(`42/b,7["echo",1]`)
		p.want("43/b,7[1]")
	}
	close(slow.release)
	if err := receive(t, walked); err != nil {
		t.Error(err)
	}
	for range peers {
		if reason := receive(t, left); reason != socketio.ReasonClientDisconnect {
			t.Errorf("left for %q", reason)
		}
	}
	if n := root.Adapter().Len(); n != 1 {
		t.Errorf("%d members are left, want the slow one", n)
	}
}
