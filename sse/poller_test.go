package sse_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// slowMember holds a broadcast up.
type slowMember struct{ reached, release chan struct{} }

func (m *slowMember) ID() string { return "slow" }
func (m *slowMember) Deliver(*message.Message) {
	close(m.reached)
	<-m.release
}
func (m *slowMember) Disconnect(bool) {}

// Clients that leave while a broadcast is on its way to their room hold up nobody who shares their poller.
func TestLeavingWaitsForNobody(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sse.Options{SendBuffer: 64 << 20})
	b.server = httptest.NewServer(b.handler)
	t.Cleanup(b.server.Close)
	slow := &slowMember{make(chan struct{}), make(chan struct{})}
	if _, err := b.adapter.Add(t.Context(), slow, "a"); err != nil {
		t.Fatal(err)
	}
	other, _ := b.open(t, "?room=b")
	const leave = 16 // more than there are pollers
	var leavers []context.CancelFunc
	for range leave {
		_, cancel := b.open(t, "?room=a")
		leavers = append(leavers, cancel)
	}
	walked := make(chan error, 1)
	go func() {
		walked <- b.adapter.Broadcast(t.Context(), newMessage(`["x"]`), message.Target{Rooms: []string{"a"}})
	}()
	<-slow.reached
	for _, cancel := range leavers {
		cancel()
	}
	// More than the kernel takes at once needs the poller to go on.
	const events, size = 64, 256 << 10
	data := fmt.Sprintf(`["x",%q]`, strings.Repeat("x", size))
	go func() {
		for range events {
			_ = b.adapter.Broadcast(context.WithoutCancel(t.Context()), newMessage(data), message.Target{Rooms: []string{"b"}})
		}
	}()
	read := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, other.Body, events*size)
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the other stream stands still")
	}
	if n := b.handler.Stats().Streams; n != leave+1 {
		t.Errorf("%d streams, want %d: their room is being walked", n, leave+1)
	}
	close(slow.release)
	if err := <-walked; err != nil {
		t.Error(err)
	}
	_ = other.Body.Close()
	b.waitEnded(t)
	if n := b.adapter.Len(); n != 1 {
		t.Errorf("%d members are left, want the slow one", n)
	}
}
