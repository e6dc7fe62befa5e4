package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/socketio"
)

// patience bounds how long a test waits for what must come. It is long because machines that test are busy.
const patience = time.Minute

// rig is a server under test.
type rig struct {
	t    testing.TB
	io   *socketio.Server
	http *httptest.Server
}

// newRig starts a server; setup registers handlers before the first client can come.
func newRig(t testing.TB, opts *socketio.Options, setup func(io *socketio.Server)) *rig {
	t.Helper()
	if opts == nil {
		opts = &socketio.Options{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	r := &rig{t: t, io: socketio.NewServer(opts)}
	if setup != nil {
		setup(r.io)
	}
	r.http = httptest.NewServer(r.io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.io.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		r.http.Close()
	})
	return r
}

// peer is a raw client: it speaks WebSocket, knows heartbeats, and nothing else.
type peer struct {
	t    testing.TB
	ctx  context.Context
	conn *websocket.Conn
}

// dial opens a connection without joining a namespace.
func (r *rig) dial() *peer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	conn, resp, err := websocket.Dial(ctx, r.http.URL+"/socket.io/?EIO=4&transport=websocket",
		&websocket.DialOptions{HTTPClient: r.http.Client()})
	if err != nil {
		cancel()
		r.t.Fatalf("dial: %v", err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	conn.SetReadLimit(64 << 20)
	p := &peer{t: r.t, ctx: ctx, conn: conn}
	r.t.Cleanup(func() {
		conn.CloseNow()
		cancel()
	})
	if open := p.read(); !strings.HasPrefix(open, "0{") {
		r.t.Fatalf("no open packet but %q", open)
	}
	return p
}

// join opens a connection that has joined the root namespace and returns its socket id too.
func (r *rig) join() (*peer, string) {
	r.t.Helper()
	p := r.dial()
	return p, p.join("/")
}

// join joins a namespace and returns the socket id.
func (p *peer) join(namespace string) string {
	p.t.Helper()
	prefix := ""
	if namespace != "/" {
		prefix = namespace + ","
	}
	p.send("40" + prefix)
	return p.joined(prefix)
}

// joined reads the answer to a CONNECT.
func (p *peer) joined(prefix string) string {
	p.t.Helper()
	answer := p.read()
	var connect struct{ SID string }
	raw, ok := strings.CutPrefix(answer, "40"+prefix)
	if !ok || json.Unmarshal([]byte(raw), &connect) != nil || len(connect.SID) != 20 {
		p.t.Fatalf("no CONNECT but %q", answer)
	}
	return connect.SID
}

func (p *peer) send(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if err := p.conn.Write(p.ctx, websocket.MessageText, []byte(text)); err != nil {
			p.t.Fatalf("send %.50q: %v", text, err)
		}
	}
}

func (p *peer) sendBinary(b ...byte) {
	p.t.Helper()
	if err := p.conn.Write(p.ctx, websocket.MessageBinary, b); err != nil {
		p.t.Fatalf("send binary: %v", err)
	}
}

// next returns the next message that is no ping; binary ones as "b:" and their hexadecimal digits.
func (p *peer) next() (string, error) {
	for {
		kind, data, err := p.conn.Read(p.ctx)
		switch {
		case err != nil:
			return "", err
		case kind == websocket.MessageBinary:
			return fmt.Sprintf("b:%x", data), nil
		case string(data) == "2":
			if err := p.conn.Write(p.ctx, websocket.MessageText, []byte("3")); err != nil {
				return "", err
			}
		default:
			return string(data), nil
		}
	}
}

func (p *peer) read() string {
	p.t.Helper()
	text, err := p.next()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return text
}

// want reads exactly these messages.
func (p *peer) want(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if got := p.read(); got != text {
			p.t.Fatalf("got %q, want %q", got, text)
		}
	}
}

// wantClosed reads until the server closes the connection, and fails if that does not happen.
func (p *peer) wantClosed() {
	p.t.Helper()
	for {
		if _, err := p.next(); err != nil {
			if p.ctx.Err() != nil {
				p.t.Fatal("the connection stays open")
			}
			return
		}
	}
}

func (p *peer) close() { p.conn.CloseNow() }

// receive waits for a value of a channel.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// deadline is a context that outlasts the test's patience.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
