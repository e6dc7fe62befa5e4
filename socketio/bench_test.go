package socketio_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// sink is a client that joins, joins rooms by itself not at all, and throws away what it receives without allocating.
func (r *rig) sink(ready chan<- struct{}) {
	r.t.Helper()
	conn, err := new(net.Dialer).DialContext(deadline(r.t), "tcp", r.http.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	request := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	connect := []byte{0x81, 0x80 | 2, 0, 0, 0, 0, '4', '0'}
	if _, err := conn.Write([]byte(request)); err != nil {
		r.t.Fatal(err)
	}
	reader := bufio.NewReaderSize(conn, 512)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatal(resp.Status)
	}
	if _, err := conn.Write(connect); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		told := false
		for {
			n, err := reader.Read(buf)
			if err != nil {
				return
			}
			if !told && strings.Contains(string(buf[:n]), `40{"sid"`) {
				told = true
				ready <- struct{}{}
			}
		}
	}()
}

func (r *rig) sinks(n int) {
	r.t.Helper()
	ready := make(chan struct{}, n)
	for range n {
		r.sink(ready)
	}
	for range n {
		receive(r.t, ready)
	}
}

// TestBroadcastAllocations holds a broadcast to a fixed number of allocations, however many receive it.
func TestBroadcastAllocations(t *testing.T) {
	const members, fixed = 200, 30
	r := newRig(t, nil, nil)
	r.sinks(members)
	ctx := deadline(t)
	n := testing.AllocsPerRun(200, func() {
		if err := r.io.Emit(ctx, "tick", 17, "hello"); err != nil {
			t.Error(err)
		}
	})
	if n > fixed {
		t.Errorf("%.1f allocations for a broadcast to %d members, want at most %d", n, members, fixed)
	}
	t.Logf("%.1f allocations for %d members", n, members)
}

func BenchmarkBroadcast(b *testing.B) {
	for _, members := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			r := newRig(b, nil, nil)
			r.sinks(members)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := r.io.Volatile().Emit(ctx, "tick", 17, "hello"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*members)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}
