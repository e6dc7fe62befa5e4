package engineio_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/wsproto"
)

// masked makes a client's frame, with a mask of zeros.
func masked(op wsproto.Opcode, payload string) []byte {
	b := wsproto.AppendHeader(nil, op, len(payload))
	b[1] |= 0x80
	return append(append(b, 0, 0, 0, 0), payload...)
}

// rawWebSocket opens a session on a WebSocket of which the test writes the frames itself.
func (f *fixture) rawWebSocket(t testing.TB) (net.Conn, *bufio.Reader) {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/engine.io/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	skipFrame(t, r)
	return conn, r
}

func skipFrame(t testing.TB, r *bufio.Reader) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		var length [2]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			t.Fatal(err)
		}
		n = int(length[0])<<8 | int(length[1])
	}
	if _, err := r.Discard(n); err != nil {
		t.Fatal(err)
	}
}

// A read full of pings is answered with one pong: the last.
func TestOnePongForManyPings(t *testing.T) {
	t.Parallel()
	both(t, engineio.Options{}, func(t *testing.T, f *fixture) {
		conn, r := f.rawWebSocket(t)
		var pings []byte
		for i := range 500 {
			pings = append(pings, masked(wsproto.Ping, fmt.Sprint(i))...)
		}
		if _, err := conn.Write(pings); err != nil {
			t.Fatal(err)
		}
		pongs, last := 0, ""
		for {
			head := make([]byte, 2)
			if _, err := io.ReadFull(r, head); err != nil {
				t.Fatal(err)
			}
			payload := make([]byte, head[1])
			if _, err := io.ReadFull(r, payload); err != nil {
				t.Fatal(err)
			}
			if head[0] == 0x80|byte(wsproto.Pong) {
				pongs++
				if last = string(payload); last == "499" {
					break
				}
			}
		}
		if pongs > 50 { // one for each read, of which there may be several
			t.Errorf("500 pings were answered with %d pongs", pongs)
		}
	})
}

// floodWith keeps a connection full of what a client may say, as fast as it goes, and reads the answers. It counts the
// bytes that the server takes.
func floodWith(conn net.Conn, frame []byte, taken *atomic.Int64) (stop func()) {
	chunk := bytes.Repeat(frame, 16<<10/len(frame))
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	wg.Go(func() {
		for {
			n, err := conn.Write(chunk)
			taken.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	return func() {
		_ = conn.Close()
		wg.Wait()
	}
}

// Clients that flood the server have the delay for themselves: between two echoes of another client little is made of
// what they send. That is counted in bytes, for time is also the machine's.
func TestFloodersDelayThemselves(t *testing.T) {
	for name, frame := range map[string][]byte{"pings": masked(wsproto.Ping, ""), "messages": masked(wsproto.Text, "4x")} {
		t.Run(name, func(t *testing.T) {
			f := startWith(t, quietEcho{}, newEcho(), nil)
			var taken atomic.Int64
			for range 24 {
				conn, _ := f.rawWebSocket(t)
				defer floodWith(conn, frame, &taken)()
			}
			conn, r := f.rawWebSocket(t)
			var each []int64
			for range 20 {
				before := taken.Load()
				if _, err := conn.Write(masked(wsproto.Text, "4hello")); err != nil {
					t.Fatal(err)
				}
				skipFrame(t, r)
				each = append(each, taken.Load()-before)
			}
			slices.Sort(each)
			// Sixteen reads of 64 KB from each that shares the poller would be 12 MB.
			if median := each[len(each)/2]; median > 8<<20 {
				t.Errorf("%d bytes of the flood were taken for each echo in the median, %d at most", median, each[len(each)-1])
			}
		})
	}
}

// quietEcho answers each message with the same.
type quietEcho struct{}

func (quietEcho) Open(s *engineio.Session) engineio.Receiver { return &quietReceiver{s} }

type quietReceiver struct{ session *engineio.Session }

func (r *quietReceiver) Message(m engineio.Message) {
	m.Data = bytes.Clone(m.Data)
	_ = r.session.Send(engineio.Prepare(m), engineio.Volatile)
}

func (r *quietReceiver) Close(engineio.Reason, error) {}
