package socketio_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestStalledBesideFast broadcasts to clients of which some do not read: these are disconnected before the server keeps
// more than their queues may hold, and the others receive everything, in order. It is not parallel, because it measures
// the heap.
func TestStalledBesideFast(t *testing.T) {
	const (
		stalled, fast = 4, 4
		sendBuffer    = 256 << 10
		size          = 32 << 10
		together      = 16        // broadcasts, after which the fast clients are waited for
		most          = 128 << 20 // far more than the kernel takes for a client that does not read
		after         = 64        // broadcasts when the stalled clients have gone
	)
	left := make(chan string, stalled+fast)
	opts := &socketio.Options{Engine: engineio.Options{SendBuffer: sendBuffer}}
	r := newRig(t, opts, func(io *socketio.Server) {
		io.OnDisconnect(func(s *socketio.Socket, reason socketio.Reason) { left <- s.ID() + " " + string(reason) })
	})
	asleep := map[string]*peer{} // by how they are to leave
	for range stalled {
		p, id := r.join()
		asleep[id+" "+string(socketio.ReasonTransportError)] = p
	}
	ctx := deadline(t)
	read := make(chan error, fast)
	for range fast {
		p, _ := r.join()
		go func() { readInOrder(ctx, p, together, read) }()
	}
	padding := strings.Repeat("x", size)
	sent := 0
	broadcast := func() {
		t.Helper()
		for range together {
			if err := r.io.Emit(ctx, "n", sent, padding); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		for range fast {
			if err := receive(t, read); err != nil {
				t.Fatal(err)
			}
		}
	}
	broadcast()
	before, highest := heap(), uint64(0)
	for gone := 0; gone < stalled; {
		if broadcast(); sent*size > most {
			t.Fatalf("after %d broadcasts %d of %d stalled clients were disconnected", sent, gone, stalled)
		}
		highest = max(highest, heap())
		for ; len(left) > 0; gone++ {
			if who := <-left; asleep[who] == nil {
				t.Fatalf("%s: not a client that stalls, or not for that", who)
			}
		}
	}
	// The clients share the process and hold a message each; 1 MiB is for those.
	if limit := before + stalled*sendBuffer + 1<<20; highest > limit {
		t.Errorf("the heap grew from %d to %d bytes", before, highest)
	}
	for range after / together {
		broadcast()
	}
	if len(left) > 0 {
		t.Errorf("%s", <-left)
	}
	if st := r.io.Stats(); st.SlowConsumers != stalled || st.Engine.WebSockets.Slow != stalled {
		t.Errorf("stats %+v", st)
	}
	// What the kernel had for them is whole and in order, and then the connection ends.
	for _, p := range asleep {
		n := 0
		for ; ; n++ {
			text, err := p.next()
			if err != nil {
				break
			}
			if !strings.HasPrefix(text, fmt.Sprintf(`42["n",%d,`, n)) {
				t.Fatalf("message %d is %.20s", n, text)
			}
		}
		if ctx.Err() != nil || n == 0 || n >= sent {
			t.Errorf("%d of %d messages: %v", n, sent, ctx.Err())
		}
	}
}

// readInOrder reads numbered messages and says after every so many that they were in order.
func readInOrder(ctx context.Context, p *peer, every int, done chan<- error) {
	for n := 0; ; n++ {
		text, err := p.next()
		if err != nil {
			if ctx.Err() == nil {
				select {
				case done <- err: // nobody listens after the test's end
				default:
				}
			}
			return
		}
		if want := fmt.Sprintf(`42["n",%d,`, n); !strings.HasPrefix(text, want) {
			done <- fmt.Errorf("got %.20s, not %s", text, want)
			return
		}
		if (n+1)%every == 0 {
			done <- nil
		}
	}
}
