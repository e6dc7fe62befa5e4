package sse_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// hijackable is a response whose connection is one end of a pipe: what the other end does not read waits here.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// TestStallIsJudgedTwice has a client that reads only once its time is over. That may be the server's own fault, which was
// stopped and could not notice that it had read: so it is looked at once more, and closed if it really does not read.
func TestStallIsJudgedTwice(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	for name, reads := range map[string]bool{"reads": true, "does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, sse.Options{WriteTimeout: timeout, KeepAlive: -1})
				client, server := net.Pipe()
				defer client.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go b.handler.ServeHTTP(&hijackable{httptest.NewRecorder(), server}, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
				r := bufio.NewReader(client)
				for line := ""; line != "\r\n"; { // the head
					var err error
					if line, err = r.ReadString('\n'); err != nil {
						t.Fatal(err)
					}
				}
				// A look at the stream each timeout: the first after the publication sees that it does not read, the second
				// that it has not for too long.
				b.publish(t, `["n","`+strings.Repeat("x", 1<<20)+`"]`, message.Target{})
				time.Sleep(2*timeout + 100*time.Millisecond)
				synctest.Wait()
				if b.handler.Stats().Streams != 1 {
					t.Fatal("closed at the first look")
				}
				if reads {
					go io.Copy(io.Discard, r) // ends with the connection
				}
				time.Sleep(3 * timeout)
				synctest.Wait()
				if st := b.handler.Stats(); (st.Streams == 1) != reads || (st.Closed[sse.WriteTimeout] == 0) != reads {
					t.Errorf("stats: %+v", st)
				}
				cancel()
				client.Close()
				synctest.Wait()
			})
		})
	}
}
