package engineio_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/admission"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/wsproto"
)

// BenchmarkHeartbeats has the pings of all sessions fall due at once, as after a stall, and measures how long timers that
// come behind them wait (timers-ms), and the slowest echo of a WebSocket beside it (echo-ms) and just before (calm-ms):
// medians of all rounds. A session that polls needs no descriptor, so there may be 100,000 of them.
func BenchmarkHeartbeats(b *testing.B) {
	b.Run("polling-100000", func(b *testing.B) { benchmarkHeartbeats(b, 100_000, 0) })
	b.Run("WebSocket-9000", func(b *testing.B) { benchmarkHeartbeats(b, 0, 9_000) })
}

func benchmarkHeartbeats(b *testing.B, polling, webSockets int) {
	server := engineio.NewServer(quietEcho{}, &engineio.Options{PingInterval: time.Hour, PingTimeout: time.Hour,
		Admission: admission.New(admission.Limits{Connections: -1})})
	ts := httptest.NewUnstartedServer(server)
	ts.Listener = engineio.NewListener(ts.Listener, ts.Config, nil)
	ts.Start()
	defer ts.Close()
	defer server.Shutdown(b.Context())
	for range polling {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/?EIO=4&transport=polling", nil)
		server.ServeHTTP(httptest.NewRecorder(), r)
	}
	addr := ts.Listener.Addr().String()
	conns := dialMany(b, addr, webSockets)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	echo, r, err := openRaw(addr)
	if err != nil {
		b.Fatal(err)
	}
	defer echo.Close()
	var timers, echoes, calm []time.Duration
	for b.Loop() {
		var slowest, before time.Duration
		const ahead = time.Second // in which all are set
		at := time.Now().Add(ahead)
		over := make(chan time.Duration, 1)
		engineio.BeatAt(server, at, func(late time.Duration) { over <- late })
		if time.Now().After(at) {
			b.Fatal("it took too long to set them all")
		}
		for done := false; !done || time.Since(at) < ahead; {
			began := time.Now()
			if _, err := echo.Write(masked(wsproto.Text, "4hello")); err != nil {
				b.Fatal(err)
			}
			if err := skipFrame(r); err != nil {
				b.Fatal(err)
			}
			if time.Now().After(at) {
				slowest = max(slowest, time.Since(began))
			} else {
				before = max(before, time.Since(began))
			}
			select {
			case late := <-over:
				timers, done = append(timers, late), true
			default:
			}
		}
		echoes, calm = append(echoes, slowest), append(calm, before)
	}
	ms := func(took []time.Duration) float64 {
		slices.Sort(took)
		return float64(took[len(took)/2].Microseconds()) / 1000
	}
	b.ReportMetric(ms(timers), "timers-ms")
	b.ReportMetric(ms(echoes), "echo-ms")
	b.ReportMetric(ms(calm), "calm-ms")
	b.ReportMetric(0, "ns/op")
}

// dialMany opens WebSockets whose clients answer nothing.
func dialMany(b *testing.B, addr string, n int) []net.Conn {
	b.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	var failed error
	var wg sync.WaitGroup
	const at = 50
	for range at {
		wg.Go(func() {
			for range n / at {
				conn, _, err := openRaw(addr)
				mu.Lock()
				failed = errors.Join(failed, err)
				if err == nil {
					conns = append(conns, conn)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failed != nil {
		b.Fatal(failed)
	}
	return conns
}
