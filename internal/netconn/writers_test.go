package netconn_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/peal-dev/peal/internal/netconn"
)

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Peers that do not read hold up nobody but themselves, however many they are, and a writer goes on where it was when one
// of them reads again.
func TestPeersThatDoNotReadHoldUpNobody(t *testing.T) {
	both(t, func(t *testing.T, l *netconn.Loop) {
		const deaf, size = 12, 8 << 20 // more than the kernel takes
		var stuck []*netconn.Conn
		var peers []*net.TCPConn
		for range deaf {
			c, peer := pair(t, l, 64<<20)
			c.Start(newRecorder(), nil)
			stuck, peers = append(stuck, c), append(peers, peer)
			if err := c.Write(make([]byte, size), netconn.Deferred); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			c, peer := pair(t, l, 0)
			c.Start(newRecorder(), nil)
			for i := range 20 {
				if err := c.Write([]byte("hello"), netconn.Mode(i)&netconn.Deferred); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 5)
				if _, err := io.ReadFull(peer, buf); err != nil || string(buf) != "hello" {
					t.Fatalf("got %q, %v", buf, err)
				}
			}
		}
		for i, c := range stuck {
			if err := c.Write([]byte("end"), netconn.Deferred); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, size+3)
			if _, err := io.ReadFull(peers[i], got); err != nil || !bytes.HasSuffix(got, []byte("\x00end")) {
				t.Fatalf("deaf peer %d: %v", i, err)
			}
		}
	})
}
