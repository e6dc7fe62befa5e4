package engineio_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	conn, r, err := openRaw(strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/engine.io/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, r
}

func openRaw(host string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(conn, "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, nil, errors.New(resp.Status)
	}
	return conn, r, skipFrame(r)
}

// skipFrame reads a frame of up to 64 KB.
func skipFrame(r *bufio.Reader) error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return err
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(r, head[2:]); err != nil {
			return err
		}
		n = int(head[2])<<8 | int(head[3])
	}
	_, err := r.Discard(n)
	return err
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
				if err := skipFrame(r); err != nil {
					t.Fatal(err)
				}
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

// floods are what the flooders of BenchmarkBesideFlooders say.
var floods = map[string][]byte{"pings": masked(wsproto.Ping, ""), "messages": masked(wsproto.Text, "4x"), "pongs": masked(wsproto.Text, "3")}

// BenchmarkBesideFlooders measures how long echoes of twelve clients take beside six others that flood the server, all in
// processes of their own.
func BenchmarkBesideFlooders(b *testing.B) {
	for kind := range floods {
		b.Run(kind, func(b *testing.B) {
			server := engineio.NewServer(quietEcho{}, nil)
			ts := httptest.NewUnstartedServer(server)
			ts.Listener = engineio.NewListener(ts.Listener, ts.Config, nil)
			ts.Start()
			defer ts.Close()
			defer server.Shutdown(b.Context())
			client := func(role string) *exec.Cmd {
				cmd := exec.CommandContext(b.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), "ENGINEIO_CLIENT="+role, "ENGINEIO_ADDR="+ts.Listener.Addr().String())
				cmd.Stderr = os.Stderr
				return cmd
			}
			for range 6 {
				cmd := client(kind)
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				defer cmd.Wait()
				defer cmd.Process.Kill()
			}
			for b.Loop() {
				out, err := client("echo").Output()
				if err != nil {
					b.Fatal(err)
				}
				var p50, p99 float64
				if _, err := fmt.Sscan(string(out), &p50, &p99); err != nil {
					b.Fatalf("%q: %v", out, err)
				}
				b.ReportMetric(p50, "p50-ms")
				b.ReportMetric(p99, "p99-ms")
			}
		})
	}
}

// beClient is a process of BenchmarkBesideFlooders.
func beClient(role string) {
	addr := os.Getenv("ENGINEIO_ADDR")
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
	}
	if frame := floods[role]; frame != nil {
		conn, _, err := openRaw(addr)
		fail(err)
		var taken atomic.Int64
		_ = floodWith(conn, frame, &taken)
		select {} // until it is killed
	}
	const clients, each = 12, 50
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			conn, r, err := openRaw(addr)
			fail(err)
			defer conn.Close()
			for range each {
				began := time.Now()
				_, err := conn.Write(masked(wsproto.Text, "4hello"))
				fail(errors.Join(err, skipFrame(r)))
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	fmt.Println(ms(took[len(took)/2]), ms(took[len(took)*99/100]))
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
