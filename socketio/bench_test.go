package socketio_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// raw is a client over WebSocket that asks to join and then reads and writes frames by hand, without allocating.
func (r *rig) raw() (net.Conn, *bufio.Reader) {
	r.t.Helper()
	conn, err := new(net.Dialer).DialContext(deadline(r.t), "tcp", r.http.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	request := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
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
	if _, err := conn.Write(masked("40")); err != nil {
		r.t.Fatal(err)
	}
	return conn, reader
}

// masked is a short text frame of a client, with a mask of zeros.
func masked(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// sink is a client that joins and throws away what it receives.
func (r *rig) sink(ready chan<- struct{}) {
	r.t.Helper()
	_, reader := r.raw()
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

// TestEventAllocations holds an event with acknowledgement to a number of allocations, from the read to the write.
func TestEventAllocations(t *testing.T) {
	for _, tt := range []struct {
		name   string
		handle func(*socketio.Server)
		most   float64
	}{
		{"reflection", func(s *socketio.Server) { s.On("echo", func(text string) string { return text }) }, 13},
		{"generic", func(s *socketio.Server) {
			socketio.Handle(s.Namespace, "echo", func(_ context.Context, _ *socketio.Socket, text string) (string, error) { return text, nil })
		}, 11},
	} {
		r := newRig(t, nil, tt.handle)
		conn, reader := r.raw()
		event := masked(`421["echo","hello"]`)
		answer := append([]byte{0x81, 0}, `431["hello"]`...)
		answer[1] = byte(len(answer) - 2)
		buf := make([]byte, len(answer))
		for range 2 { // the open packet and the answer to CONNECT
			if _, err := reader.ReadString('}'); err != nil {
				t.Fatal(err)
			}
		}
		n := testing.AllocsPerRun(200, func() {
			if _, err := conn.Write(event); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(reader, buf); err != nil || !bytes.Equal(buf, answer) {
				t.Fatalf("got %q, %v; want %q", buf, err, answer)
			}
		})
		t.Logf("%s: %.1f allocations", tt.name, n)
		if n > tt.most {
			t.Errorf("%s: %.1f allocations for an event and its acknowledgement, want at most %v", tt.name, n, tt.most)
		}
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

// BenchmarkConnect connects over WebSocket and joins a namespace, one client after the other.
func BenchmarkConnect(b *testing.B) {
	for name, register := range map[string]func(io *socketio.Server){
		"plain": nil,
		"join":  func(io *socketio.Server) { io.OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "room") }) },
		"emit":  func(io *socketio.Server) { io.OnConnect(func(s *socketio.Socket) { s.Emit(s.Context(), "welcome") }) },
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, &socketio.Options{Logger: slog.New(slog.DiscardHandler)}, register)
			b.ReportAllocs()
			for b.Loop() {
				conn, reader := r.raw()
				for range 2 { // the open packet and the answer to CONNECT
					if _, err := reader.ReadString('}'); err != nil {
						b.Fatal(err)
					}
				}
				conn.Close()
			}
		})
	}
}
