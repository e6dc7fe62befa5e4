package postgres_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/internal/testpostgres"
	"github.com/peal-dev/peal/message"
)

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func large() *message.Message {
	return message.New(fmt.Appendf(nil, `["large",%q]`, strings.Repeat("x", 10_000)))
}

// TestTable makes the table as the Node.js adapter wants it, makes it again when it is gone, and removes what is old.
func TestTable(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	server.Do(`CREATE SCHEMA "other schema"`)
	for _, name := range []string{"socket_io_attachments", "Mixed", `"Quoted "" name"`, `"other schema".attachments`} {
		opts := postgres.Options{URL: server.URL(), Table: name, Key: newKey(), CleanupInterval: 500 * time.Millisecond}
		d1, d2 := open(t, opts), open(t, opts)
		from, _ := join(t, d1, "/")
		_, to := join(t, d2, "/")
		// As a Node.js node's SQL has it.
		columns := server.Do("SELECT id::bigint, created_at::timestamptz, payload::bytea FROM " + name)
		if len(columns) != 0 {
			t.Errorf("%s has rows: %q", name, columns)
		}
		for range 2 {
			emit(t, from, large())
			to.Until(t, "large")
			server.Do("DROP TABLE " + name)
		}
		emit(t, from, large())
		to.Until(t, "large")
		for start := time.Now(); len(server.Do("SELECT 1 FROM "+name)) > 0; {
			if time.Since(start) > 20*time.Second {
				t.Fatalf("%s is not cleaned", name)
			}
		}
	}
	for _, name := range []string{"a b", "a.b.c", "1a", `"`, `"a`, "a; DROP TABLE b", `"a""`, "a\x00", ".a", "a."} {
		if _, err := postgres.New(postgres.Options{URL: server.URL(), Table: name}); err == nil {
			t.Errorf("the table %q is taken", name)
		}
	}
}

// TestUserWithoutRights lets a user publish who may not make the table: what needs none goes, and what does says why not.
func TestUserWithoutRights(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	server.Do("CREATE USER app PASSWORD 'secret'")
	server.WriteFile("pg_hba.conf", []byte("local all all trust\nhost all all all scram-sha-256\n"))
	server.Restart()
	opts := postgres.Options{URL: server.URL(), Username: "app", Password: "secret"}
	d1, d2 := open(t, opts), open(t, opts)
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	emit(t, from, newMessage("small"))
	to.Until(t, "small")
	if err := from.Broadcast(t.Context(), large(), message.Target{}); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "socket_io_attachments") {
		t.Errorf("a large message without a table: %v", err)
	}
	// Once an administrator has made it, all is well.
	server.Do("CREATE TABLE socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)")
	server.Do("GRANT ALL ON socket_io_attachments, socket_io_attachments_id_seq TO app")
	emit(t, from, large())
	to.Until(t, "large")

	wrong := open(t, postgres.Options{URL: server.URL(), Username: "app", Password: "wrong", Timeout: 200 * time.Millisecond})
	if _, err := adapter.New(t.Context(), "/", wrong, nil); !errors.Is(err, adapter.ErrUnavailable) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("New with a wrong password: %v", err)
	}
}

// TestCredentials asks the program for each connection who it is, and how to get there.
func TestCredentials(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	server.Do("CREATE USER app PASSWORD 'first'")
	server.WriteFile("pg_hba.conf", []byte("local all all trust\nhost all all all scram-sha-256\n"))
	server.Restart()
	var password atomic.Value
	password.Store("first")
	none := errors.New("nobody knows")
	opts, state := states(postgres.Options{
		URL: strings.Replace(server.URL(), server.Addr(), "database.invalid:1", 1),
		Credentials: func(context.Context) (string, string, error) {
			if password.Load() == "" {
				return "", "", none
			}
			return "app", password.Load().(string), nil
		},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != "database.invalid:1" {
				t.Errorf("dialed %s", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, server.Addr())
		},
	})
	from, _ := join(t, open(t, postgres.Options{URL: server.URL(), Username: "app", Password: "first"}), "/")
	_, to := join(t, open(t, opts), "/")
	state(true)
	emit(t, from, newMessage("first"))
	to.Until(t, "first")

	password.Store("")
	server.Do("ALTER USER app PASSWORD 'second'")
	server.Do("SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
	state(false)
	password.Store("second")
	state(true)
	if err := opts.Validate(); err != nil {
		t.Error(err)
	}
	opts.Username = "app"
	if err := opts.Validate(); err == nil {
		t.Error("two say who the node is")
	}
}

// TestRefusals has the server refuse single messages: that is told to who sent them, and the others do not suffer from it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, postgres.Options{URL: server.URL()})
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	server.Do(`CREATE FUNCTION queue_full() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION USING ERRCODE = '54000', MESSAGE = 'too many notifications in the NOTIFY queue'; END $$;
		CREATE TRIGGER queue_full BEFORE INSERT ON socket_io_attachments EXECUTE FUNCTION queue_full()`)
	var sending sync.WaitGroup
	for i := range 50 {
		sending.Go(func() {
			switch err := from.Broadcast(t.Context(), large(), message.Target{}); {
			case !errors.Is(err, adapter.ErrOverloaded):
				t.Errorf("with a full queue: %v", err)
			}
		})
		sending.Go(func() {
			if err := from.Broadcast(t.Context(), newMessage(fmt.Sprint("small ", i)), message.Target{}); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
	emit(t, from, newMessage("end"))
	if got := to.Until(t, "end"); len(got) != 50 {
		t.Errorf("%d small messages arrived, want 50", len(got))
	}
	if s := d1.Stats(); s.Reconnects != 0 {
		t.Errorf("stats = %+v, want no reconnect", s)
	}
}

// TestMissingRow notifies of messages that are in no table, and of nothing that could be one: what is lost is counted, and
// what comes behind it arrives.
func TestMissingRow(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, postgres.Options{URL: server.URL()})
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	const missing = 3
	for range missing {
		server.Do(`SELECT pg_notify('socket.io#/', '{"uid":"0123456789abcdef","type":3,"attachmentId":"999999"}')`)
	}
	for _, payload := range []string{`{"attachmentId":"x"}`, `{"attachmentId":1`, `[]`, ``, `{}`} {
		server.Do("SELECT pg_notify('socket.io#/', '" + payload + "')")
	}
	emit(t, from, large())
	emit(t, from, newMessage("small"))
	if got := to.Until(t, "small"); len(got) != 1 || got[0] != "large" {
		t.Errorf("got %q before the last", got)
	}
	malformed := uint64(0)
	s := d2.Stats()
	for _, n := range s.Malformed {
		malformed += n
	}
	if s.Gaps[adapter.GapLost] != missing || s.LastGap.Dropped != 1 || s.LastGap.Namespace != "/" || malformed == 0 || s.Reconnects != 0 {
		t.Errorf("stats = %+v, want %d lost", s, missing)
	}
}

// deaf is the receiver of a node that does not get on.
type deaf struct{ busy, goOn chan struct{} }

func (d deaf) Receive(*adapter.Envelope) {
	select {
	case d.busy <- struct{}{}:
	default:
	}
	<-d.goOn
}
func (deaf) Answer(*adapter.Call, func(adapter.Answer)) {}
func (deaf) HasRoom(string) bool                        { return true }

// TestSlowReader has a node handle nothing: what comes is dropped and counted, and PostgreSQL keeps nothing for it.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, postgres.Options{URL: server.URL(), InboxSize: 10})
	from, _ := join(t, d1, "/")
	reader := deaf{make(chan struct{}, 1), make(chan struct{})}
	if _, err := d2.Subscribe(t.Context(), "/", reader); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		emit(t, from, newMessage("small"))
		emit(t, from, large())
	}
	<-reader.busy
	for start := time.Now(); ; {
		s := d2.Stats()
		if s.Received+s.Dropped >= 200 && s.Dropped > 0 && s.Gaps[adapter.GapOverflow] > 0 {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("stats = %+v, want what was dropped", s)
		}
	}
	if usage := server.Do("SELECT pg_notification_queue_usage()"); usage[0] != "0" {
		t.Errorf("the queue of PostgreSQL is full by %s", usage)
	}
	close(reader.goOn)
}

// TestTLS speaks TLS to a server that lets in no other, and knows it by its authority.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate
	certificate := web.TLS.Certificates[0]
	authorities := x509.NewCertPool()
	authorities.AddCert(web.Certificate())
	web.Close()
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	server.WriteFile("server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	server.WriteFile("server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	server.WriteFile("pg_hba.conf", []byte("local all all trust\nhostssl all all all trust\n"))
	server.Do("ALTER SYSTEM SET ssl = on")
	server.Restart()

	secure := postgres.Options{URL: server.URL(), TLS: &tls.Config{RootCAs: authorities, ServerName: "example.com"}}
	d1, d2 := open(t, secure), open(t, secure)
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	emit(t, from, large())
	to.Until(t, "large")
	if plain := server.Do("SELECT 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'peal' AND NOT ssl"); len(plain) > 0 {
		t.Errorf("%d connections are not TLS", len(plain))
	}
	for name, opts := range map[string]postgres.Options{
		"plain":             {URL: server.URL()},
		"unknown authority": {URL: server.URL(), TLS: &tls.Config{ServerName: "example.com"}},
		"another name":      {URL: server.URL(), TLS: &tls.Config{RootCAs: authorities, ServerName: "example.org"}},
	} {
		opts.Timeout = 200 * time.Millisecond
		if _, err := adapter.New(t.Context(), "/", open(t, opts), nil); !errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOptions refuses what cannot be.
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, opts := range []postgres.Options{
		{}, {URL: "postgres://host:port"}, {URL: "postgres://x/", Key: strings.Repeat("k", 41)}, {URL: "postgres://x/", Key: "\xff"}, {URL: "postgres://x/?sslmode=perhaps"},
	} {
		if err := opts.Validate(); err == nil || !strings.HasPrefix(err.Error(), "postgres: ") {
			t.Errorf("%+v: %v", opts, err)
		}
		if _, err := postgres.NewEmitter(opts); err == nil {
			t.Errorf("%+v makes an emitter", opts)
		}
	}
	secret := postgres.Options{URL: "postgres://user:verysecret@host:port/"}
	if err := secret.Validate(); err == nil || strings.Contains(err.Error(), "verysecret") {
		t.Errorf("%v", err)
	}
}

// TestEmitter publishes without being a node.
func TestEmitter(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d := open(t, postgres.Options{URL: server.URL()})
	a, m := join(t, d, "/chat")
	emitter, err := postgres.NewEmitter(postgres.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	from, err := adapter.New(t.Context(), "/chat", emitter, nil)
	if err != nil {
		t.Fatal(err)
	}
	emit(t, from, newMessage("small"))
	emit(t, from, large())
	emit(t, from, message.New([]byte(`["bytes",{"_placeholder":true,"num":0}]`), []byte{1}))
	if got := m.Until(t, "bytes"); strings.Join(got, " ") != "small large" {
		t.Errorf("got %q before the bytes", got)
	}
	if err := from.JoinRooms(t.Context(), message.Target{Rooms: []string{"m"}}, "room"); err != nil {
		t.Fatal(err)
	}
	if err := from.Broadcast(t.Context(), newMessage("to the room"), message.Target{Rooms: []string{"room"}}); err != nil {
		t.Fatal(err)
	}
	m.Until(t, "to the room")
	if n, err := a.Nodes(t.Context()); n != 1 || err != nil {
		t.Errorf("%d nodes, %v: an emitter is none", n, err)
	}
	if _, err := from.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, func(adapter.Answer) {}); !errors.Is(err, adapter.ErrNoCalls) {
		t.Errorf("a call by an emitter: %v", err)
	}
	if err := from.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := emitter.Subscribe(t.Context(), "/chat", nil); !errors.Is(err, adapter.ErrSubscribed) {
		t.Errorf("a second link of a namespace: %v", err)
	}
	for range 2 {
		if err := emitter.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := from.Broadcast(t.Context(), newMessage("x"), message.Target{}); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Broadcast after Close: %v", err)
	}
	if _, err := emitter.Subscribe(t.Context(), "/late", nil); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
}
