package engineio_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/peal-dev/peal/engineio"
)

// TestMain serves as a server of its own for the tests that stop one.
func TestMain(m *testing.M) {
	if how := os.Getenv(stallable); how != "" {
		serveStallable(how)
		return
	}
	if role := os.Getenv("ENGINEIO_CLIENT"); role != "" { // a client of BenchmarkBesideFlooders
		beClient(role)
		return
	}
	goleak.VerifyTestMain(m)
}

// wait bounds everything a test waits for.
const wait = 10 * time.Second

// end is how a session ended.
type end struct {
	reason engineio.Reason
	cause  error
}

// echo answers each message with the same, and reports how sessions end.
type echo struct {
	sessions chan *engineio.Session
	messages chan engineio.Message
	ends     chan end
	silent   bool
}

func newEcho() *echo {
	return &echo{sessions: make(chan *engineio.Session, 1000), messages: make(chan engineio.Message, 10_000), ends: make(chan end, 1000)}
}

func (e *echo) Open(s *engineio.Session) engineio.Receiver {
	e.sessions <- s
	return &echoReceiver{e, s}
}

type echoReceiver struct {
	*echo
	session *engineio.Session
}

func (r *echoReceiver) Message(m engineio.Message) {
	m.Data = append([]byte(nil), m.Data...)
	r.messages <- m
	if !r.silent {
		_ = r.session.Send(engineio.Prepare(m), 0)
	}
}

func (r *echoReceiver) Close(reason engineio.Reason, cause error) { r.ends <- end{reason, cause} }

// fixture is a server under test.
type fixture struct {
	*testing.T
	*echo
	server *engineio.Server
	url    string
	client *http.Client
}

func start(t *testing.T, opts *engineio.Options) *fixture {
	t.Helper()
	e := newEcho()
	return startWith(t, e, e, opts)
}

// startWith starts a server with a handler that reports to e.
func startWith(t *testing.T, h engineio.Handler, e *echo, opts *engineio.Options) *fixture {
	t.Helper()
	server := engineio.NewServer(h, opts)
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", server)
	ts := httptest.NewUnstartedServer(mux)
	if opts == nil || !opts.Goroutines { // the other half behind net/http alone
		ts.Listener = engineio.NewListener(ts.Listener, ts.Config, nil)
	}
	ts.Start()
	f := &fixture{T: t, echo: e, server: server, url: ts.URL + "/engine.io/", client: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		f.client.CloseIdleConnections()
		ts.Close()
	})
	return f
}

// answer is an HTTP response, read.
type answer struct {
	status int
	body   string
	header http.Header
}

func (f *fixture) do(method, query, body string, headers ...string) answer {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.url+"?"+query, reader)
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		f.Fatalf("%s %s: %v", method, query, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatalf("%s %s: %v", method, query, err)
	}
	return answer{resp.StatusCode, string(b), resp.Header}
}

func (f *fixture) expect(a answer, status int, body string) {
	f.Helper()
	if a.status != status || a.body != body {
		f.Errorf("got %d %q, want %d %q", a.status, a.body, status, body)
	}
}

// open is the first packet of a session.
type open struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

func (f *fixture) parseOpen(packet string) (o open) {
	f.Helper()
	if !strings.HasPrefix(packet, "0{") {
		f.Fatalf("%q is not an open packet", packet)
	}
	if err := json.Unmarshal([]byte(packet[1:]), &o); err != nil {
		f.Fatal(err)
	}
	return o
}

// poller is a client on long-polling.
type poller struct {
	*fixture
	query string
	sid   string
}

func (f *fixture) openPolling() *poller {
	f.Helper()
	a := f.do("GET", "EIO=4&transport=polling", "")
	sid := f.parseOpen(a.body).SID
	return &poller{f, "EIO=4&transport=polling&sid=" + sid, sid}
}

func (p *poller) poll() answer            { p.Helper(); return p.do("GET", p.query, "") }
func (p *poller) post(body string) answer { p.Helper(); return p.do("POST", p.query, body) }

// pollAsync polls on another goroutine.
func (p *poller) pollAsync() <-chan answer {
	out := make(chan answer, 1)
	go func() { out <- p.poll() }()
	return out
}

// wsClient is a client on WebSocket.
type wsClient struct {
	*fixture
	conn *websocket.Conn
}

func (f *fixture) dial(query string) *wsClient {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(f.url, "http")+"?"+query, &websocket.DialOptions{HTTPClient: f.client})
	if err != nil {
		f.Fatalf("dial %s: %v", query, err)
	}
	conn.SetReadLimit(10 << 20)
	f.Cleanup(func() { _ = conn.CloseNow() })
	return &wsClient{fixture: f, conn: conn}
}

func (f *fixture) openWebSocket() *wsClient {
	f.Helper()
	c := f.dial("EIO=4&transport=websocket")
	f.parseOpen(c.read())
	return c
}

func (c *wsClient) send(text string) {
	c.Helper()
	c.write(websocket.MessageText, []byte(text))
}

func (c *wsClient) write(t websocket.MessageType, data []byte) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := c.conn.Write(ctx, t, data); err != nil {
		c.Fatalf("write: %v", err)
	}
}

func (c *wsClient) read() string {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		c.Fatalf("read: %v", err)
	}
	return string(data)
}

// closeCode reads until the server closes and returns the code.
func (c *wsClient) closeCode() websocket.StatusCode {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for {
		if _, _, err := c.conn.Read(ctx); err != nil {
			if ctx.Err() != nil {
				c.Fatal("the server did not close the connection")
			}
			return websocket.CloseStatus(err)
		}
	}
}

// receive takes one value from a channel.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(wait):
		t.Fatalf("waited %v in vain for a %T", wait, *new(T))
		panic("unreachable")
	}
}

func (f *fixture) ended(reason engineio.Reason) {
	f.Helper()
	if got := receive(f, f.ends); got.reason != reason {
		f.Errorf("the session ended with %q (%v), want %q", got.reason, got.cause, reason)
	}
}

// origin is that of the server's own pages.
func (f *fixture) origin() string { return strings.TrimSuffix(f.url, "/engine.io/") }

// raw connects and sends the head of a GET.
func (f *fixture) raw(query string, headers ...string) net.Conn {
	f.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.origin(), "http://"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() })
	head := "GET /engine.io/?" + query + " HTTP/1.1\r\nHost: " + strings.TrimPrefix(f.origin(), "http://") + "\r\nUser-Agent: raw\r\n"
	for i := 0; i < len(headers); i += 2 {
		head += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		f.Fatal(err)
	}
	return conn
}

// answerHead sends the head of a GET and returns that of the answer.
func (f *fixture) answerHead(query string, headers ...string) string {
	f.Helper()
	conn := f.raw(query, headers...)
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	var head []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, b...) {
		if _, err := io.ReadFull(conn, b); err != nil {
			break
		}
	}
	return string(head)
}
