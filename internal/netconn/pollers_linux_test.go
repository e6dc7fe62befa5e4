package netconn_test

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/internal/netconn"
)

// goroutinesOf counts the goroutines that run a method of a type of package netconn.
func goroutinesOf(method string) int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "internal/netconn."+method+"(")
}

// Loops that share pollers have one for each core together, whoever comes and goes; those of a Loop that was closed are
// closed, and the others' go on.
func TestLoopsShareTheirPollers(t *testing.T) { // not parallel: it counts goroutines
	var loops [3]netconn.Loop
	var recorders [3]*recorder
	var peers [3]*net.TCPConn
	cores := runtime.GOMAXPROCS(0)
	for i := range loops {
		for range cores + 1 { // more than each poller has one of
			var c *netconn.Conn
			c, peers[i] = pair(t, &loops[i], 0)
			recorders[i] = newRecorder()
			c.Start(recorders[i], nil)
		}
		if s := loops[i].Stats(); s.Conns != int64(cores)+1 || s.Polled != s.Conns {
			t.Errorf("each counts its own: %+v", s)
		}
	}
	if pollers, flushers := goroutinesOf("(*poller).run"), goroutinesOf("(*flusher).run"); pollers != cores || flushers != cores {
		t.Errorf("%d pollers and %d flushers for %d cores", pollers, flushers, cores)
	}
	for i := range loops {
		loops[i].Close()
		if cause := receive(t, recorders[i].closed); !errors.Is(cause, netconn.ErrLoopClosed) {
			t.Errorf("closed for %v", cause)
		}
		if s := loops[i].Stats(); s.Conns != 0 || s.Polled != 0 {
			t.Errorf("closed: %+v", s)
		}
		for j := i + 1; j < len(loops); j++ {
			if _, err := peers[j].Write([]byte("on")); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, recorders[j].data); string(got) != "on" {
				t.Errorf("another Loop read %q", got)
			}
		}
	}
	if pollers, flushers := goroutinesOf("(*poller).run"), goroutinesOf("(*flusher).run"); pollers != 0 || flushers != 0 {
		t.Errorf("%d pollers and %d flushers are left", pollers, flushers)
	}
}

// Loops that come and go all the time find pollers, and the last leaves none behind, which TestMain sees.
func TestLoopsComeAndGo(t *testing.T) {
	t.Parallel()
	pollers := new(netconn.Pollers)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				l := netconn.Loop{Pollers: pollers}
				c, peer := pair(t, &l, 0)
				r := newRecorder()
				var both sync.WaitGroup
				both.Go(l.Close) // before, while or after it starts
				both.Go(func() { c.Start(r, nil) })
				receive(t, r.closed)
				both.Wait()
				if _, err := peer.Read(make([]byte, 1)); err == nil {
					t.Error("the peer is still connected")
				}
			}
		})
	}
	all.Wait()
}

// A connection that its peer resets while nobody reads it can be closed all the same.
func TestCloseAfterResetWhilePaused(t *testing.T) {
	t.Parallel()
	l := netconn.Loop{Pollers: new(netconn.Pollers)}
	defer l.Close()
	c, other, peer, otherPeer := twoOfOnePoller(t, &l)
	r, seen := newRecorder(), newRecorder()
	c.Pause()
	c.Start(r, nil)
	other.Start(seen, nil)
	if err := errors.Join(peer.SetLinger(0), peer.Close()); err != nil {
		t.Fatal(err)
	}
	for range 3 { // each round of the poller brings all events that there are
		if _, err := otherPeer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		receive(t, seen.data)
	}
	c.Close(nil)
	receive(t, r.closed)
}
