package socketio_test

import (
	"runtime"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// What recovery costs a client that is connected and idle: the same clients take no more with it than without.
func TestRecoveryPerIdleClient(t *testing.T) {
	const count = 1000
	idle := func(opts *socketio.Recovery) int {
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
		return int(after.HeapAlloc-before.HeapAlloc) / count
	}
	idle(nil)
	without := idle(nil)
	with := idle(&socketio.Recovery{MaxMessages: 1})
	t.Logf("a client and the test's end of it take %d bytes without, %d with", without, with)
	if with-without > 64 {
		t.Errorf("%d bytes more for each idle client, want 64 at most", with-without)
	}
}
