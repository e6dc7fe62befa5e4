package socketio_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// What recovery costs a client that is connected and idle: the same clients take no more with it than without.
func TestRecoveryPerIdleClient(t *testing.T) {
	idle := func(opts *socketio.Recovery) (bytes int) {
		t.Run("clients", func(t *testing.T) { bytes = perIdleClient(t, opts) }) // whose connections end with it
		return bytes
	}
	idle(nil)
	// What else the process makes or lets go in the meantime is in each figure, so one of them alone says little.
	more := make([]int, 5)
	for i := range more {
		without := idle(nil)
		with := idle(&socketio.Recovery{MaxMessages: 1})
		t.Logf("a client and the test's end of it take %d bytes without, %d with", without, with)
		more[i] = with - without
	}
	slices.Sort(more)
	if median := more[len(more)/2]; median > 64 {
		t.Errorf("%d bytes more for each idle client, want 64 at most", median)
	}
}

// perIdleClient returns what an idle client takes, with the test's end of it.
func perIdleClient(t *testing.T, opts *socketio.Recovery) int {
	const count = 1000
	r := recovering(t, opts, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) { _ = s.Join(s.Context(), "a") })
	})
	r.sinks(1) // what is made once
	emit(t, r.io.To("others"), "n", 1)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	r.sinks(count)
	emit(t, r.io.To("others"), "n", 2) // nothing is left from before they came
	r.sinks(1)
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(r)
	return (int(after.HeapAlloc) - int(before.HeapAlloc)) / count
}
