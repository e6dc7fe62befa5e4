//go:build unix

package interop_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/socketio"
)

// freeze stops the peer until the returned function lets it go on.
func (p *peer) freeze() (thaw func()) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	thaw = func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }
	p.t.Cleanup(thaw)
	return thaw
}

// A node that hangs costs the answers it would have given, and the time of the call.
func TestNodeClusterFrozen(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	thaw := m.node.freeze()
	var incomplete *adapter.IncompleteError
	sockets, err := m.golang.FetchSockets(within(t, 500*time.Millisecond))
	if len(sockets) != 2 || !errors.As(err, &incomplete) || len(incomplete.Missing) != 1 {
		t.Errorf("%d sockets, %v, want 2 and that one node is missing", len(sockets), err)
	}
	replies, err := m.golang.Broadcast().EmitWithAck(within(t, 4*time.Second), "who")
	if len(replies.Replies) != 2 || len(replies.MissingNodes) != 1 || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, socketio.ErrIncomplete) {
		t.Errorf("%+v, %v, want two replies and that one node is missing", replies, err)
	}
	thaw()
	// Its late answers harm nothing.
	if all := m.fetched(m.golang.FetchSockets(within(t, patience))); len(all) != 4 {
		t.Errorf("fetched %d sockets, want 4", len(all))
	}
	replies, err = m.golang.Broadcast().EmitWithAck(within(t, patience), "who")
	if err != nil || len(replies.Replies)+len(replies.Unnamed) != 4 {
		t.Errorf("%+v, %v, want four replies", replies, err)
	}
}

// Nobody waits for a node that was killed in the middle of a call.
func TestNodeClusterKilled(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	startGoNode(t, m.redis.URL())
	m.node.freeze()
	answered := make(chan struct{}, 1)
	result := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := m.golang.Of("/").Adapter().Call(context.Background(), &adapter.Call{Kind: adapter.CallMembers, Timeout: time.Hour},
			func(adapter.Answer) { answered <- struct{}{} })
		result <- err
	}()
	<-answered // of the other Go node: the question is out
	m.node.kill()
	if err := <-result; !errors.Is(err, adapter.ErrIncomplete) {
		t.Errorf("call of a node that is killed: %v", err)
	}
	t.Logf("told after %v", time.Since(began).Round(time.Millisecond))
	if n, err := m.golang.ServerCount(t.Context()); err != nil || n != 2 {
		t.Errorf("%d nodes, %v, want 2", n, err)
	}
}
