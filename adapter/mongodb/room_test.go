package mongodb_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/internal/testmongo"
	"github.com/peal-dev/peal/message"
)

// TestUnsendableBeside: a message that cannot travel fails for itself alone.
func TestUnsendableBeside(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	a1, m1 := newAdapter(t, newDriver(t, mongodb.Options{URL: server.URL()}), "m1")
	_, m2 := newAdapter(t, newDriver(t, mongodb.Options{URL: server.URL()}), "m2")
	large := message.New([]byte(`["large",{"_placeholder":true,"num":0}]`), make([]byte, 16<<20))
	for _, m := range []*message.Message{large, message.New([]byte(`["e",{"\u0000":1}]`))} {
		if err := a1.Broadcast(t.Context(), m, message.Target{}); !errors.Is(err, adapter.ErrUnsendable) || errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("%s: %v", m.Event(), err)
		}
		m1.Until(t, m.Event())
	}
	if err := a1.Broadcast(t.Context(), message.New([]byte(`["large",{"_placeholder":true,"num":0}]`), make([]byte, 15<<20)), message.Target{}); err != nil {
		t.Error(err)
	}
	if got := m2.Next(t); len(got.Attachments) != 1 || len(got.Attachments[0]) != 15<<20 {
		t.Errorf("15 MiB came as %s", got.Data)
	}
}

// slow is a receiver that takes a message when it is let.
type slow struct {
	adapter.Receiver
	let   chan struct{}
	taken chan string
}

func (s *slow) Receive(e *adapter.Envelope) {
	<-s.let
	s.taken <- e.Message.Event()
}

func (*slow) HasRoom(string) bool { return true }

// TestNoRoom: what a node has no room for stays with the server and is not dropped, and does not count as a gap.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	a1, _ := newAdapter(t, newDriver(t, mongodb.Options{URL: server.URL()}), "m1")
	d2 := newDriver(t, mongodb.Options{URL: server.URL(), InboxSize: 4})
	r := &slow{let: make(chan struct{}), taken: make(chan string, 1000)}
	l, err := d2.Subscribe(t.Context(), "/", r)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 100
	for n := range messages {
		if err := a1.Broadcast(t.Context(), newMessage(fmt.Sprint(n)), message.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	close(r.let)
	for n := range messages {
		if got := <-r.taken; got != fmt.Sprint(n) {
			t.Fatalf("message %d is %s", n, got)
		}
	}
	if dropped := d2.Stats().Dropped; dropped > 0 {
		t.Errorf("%d dropped", dropped)
	}
	requireNoGap(t, d2)
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCollections: a collection that is there is used as it is, and documents get a createdAt if it needs that.
func TestCollections(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	c := collection(t, server)
	for name, made := range map[string]*options.CreateCollectionOptionsBuilder{
		"capped": options.CreateCollection().SetCapped(true).SetSizeInBytes(1 << 20), "plain": options.CreateCollection(),
	} {
		if err := c.Database().CreateCollection(t.Context(), name, made); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		ttl     time.Duration
		expires int32 // after so many seconds; 0 for a capped one
	}{
		{"capped", time.Minute, 0}, {"plain", 0, 3600}, {"new", 0, 0}, {"new with ttl", 90 * time.Second, 90},
	} {
		a, _ := newAdapter(t, newDriver(t, mongodb.Options{URL: server.URL() + "&collection=" + strings.ReplaceAll(tt.name, " ", "+"), TTL: tt.ttl}), "m")
		if err := a.Broadcast(t.Context(), newMessage("x"), message.Target{}); err != nil {
			t.Fatal(err)
		}
		c := c.Database().Collection(tt.name)
		found, err := c.FindOne(t.Context(), bson.D{{Key: "type", Value: 3}}).Raw()
		if err != nil {
			t.Fatal(err)
		}
		if _, stamped := found.Lookup("createdAt").DateTimeOK(); stamped != (tt.expires > 0) {
			t.Errorf("%s: %v", tt.name, found)
		}
		indexes, err := c.Indexes().ListSpecifications(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var expires int32
		for _, index := range indexes {
			if index.ExpireAfterSeconds != nil {
				expires = *index.ExpireAfterSeconds
			}
		}
		if expires != tt.expires {
			t.Errorf("%s: documents expire after %d s, want %d", tt.name, expires, tt.expires)
		}
	}
}

// TestEmitter: what an emitter says reaches the nodes, which do not count it.
func TestEmitter(t *testing.T) {
	t.Parallel()
	server := testmongo.Start(t)
	a, m := newAdapter(t, newDriver(t, mongodb.Options{URL: server.URL()}), "m")
	e, err := mongodb.NewEmitter(mongodb.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	emitting, err := adapter.New(t.Context(), "/", e, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if err := emitting.Broadcast(t.Context(), newMessage(fmt.Sprint(n)), message.Target{Rooms: []string{"m"}}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		if got := m.Next(t).Event(); got != fmt.Sprint(n) {
			t.Fatalf("message %d is %s", n, got)
		}
	}
	if err := emitting.JoinRooms(t.Context(), message.Target{}, "r"); err != nil {
		t.Error(err)
	}
	if err := emitting.Broadcast(t.Context(), newMessage("r"), message.Target{Rooms: []string{"r"}}); err != nil {
		t.Error(err)
	}
	m.Until(t, "r")
	if err := emitting.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := a.Nodes(t.Context()); err != nil || n != 1 {
		t.Errorf("%d nodes, %v", n, err)
	}
	if _, err := emitting.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, nil); !errors.Is(err, adapter.ErrNoCalls) {
		t.Errorf("a call of an emitter: %v", err)
	}
	for range 2 {
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := emitting.Broadcast(t.Context(), newMessage("x"), message.Target{}); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Broadcast of a closed emitter: %v", err)
	}
	if err := emitting.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// logBuffer is a log that can be read meanwhile.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

var _ io.Writer = (*logBuffer)(nil)

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
