package postgres_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/internal/testpostgres"
	"github.com/peal-dev/peal/message"
)

// join returns the adapter of a namespace with a member that gets everything.
func join(t testing.TB, d adapter.Driver, namespace string) (*adapter.Adapter, *adaptertest.Member) {
	t.Helper()
	a, err := adapter.New(t.Context(), namespace, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := adaptertest.NewMember("m")
	if _, err := a.Add(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return a, m
}

func newMessage(event string) *message.Message {
	name, _ := json.Marshal(event) // never fails
	return message.New(fmt.Appendf(nil, "[%s]", name))
}

func emit(t testing.TB, a *adapter.Adapter, m *message.Message) {
	t.Helper()
	if err := a.Broadcast(t.Context(), m, message.Target{}); err != nil {
		t.Fatal(err)
	}
}

// rows counts the messages in the table.
func rows(t *testing.T, server *testpostgres.Server) int {
	t.Helper()
	n, err := strconv.Atoi(server.Do("SELECT count(*) FROM socket_io_attachments")[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestEdge publishes messages of every length around what a notification may have, in letters of one byte and of several:
// all arrive, in order, and only those that are too large go through the table.
func TestEdge(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, postgres.Options{URL: server.URL()})
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	before := 0
	for _, letter := range []string{"x", "é", "🦉"} {
		const least, most = 7800, 8000
		for bytes := least; bytes < most; bytes++ {
			n := bytes / len(letter)
			text := strings.Repeat(letter, n) + strings.Repeat("y", bytes-n*len(letter))
			emit(t, from, message.New(fmt.Appendf(nil, `["%d",%q]`, bytes, text)))
			got := to.Next(t)
			if got.Event() != strconv.Itoa(bytes) || !strings.Contains(string(got.Data), text) {
				t.Fatalf("%d bytes of %s became %.20s", bytes, letter, got.Data)
			}
		}
		after := rows(t, server)
		// What stands around the text has as many bytes for all of them.
		if tabled := after - before; tabled < 50 || tabled > 150 {
			t.Errorf("%s: %d of %d went through the table: the edge is elsewhere", letter, tabled, most-least)
		}
		before = after
	}
}

// TestOrderOfSizes publishes large messages, messages with binary values and small ones: no size overtakes another.
func TestOrderOfSizes(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, postgres.Options{URL: server.URL()})
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	large := strings.Repeat("large", 4000)
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range 1000 {
			m := newMessage(strconv.Itoa(i))
			switch i % 7 {
			case 2:
				m = message.New(fmt.Appendf(nil, `["%d",%q]`, i, large))
			case 4:
				m = message.New(fmt.Appendf(nil, `["%d",{"_placeholder":true,"num":0}]`, i), []byte{byte(i)})
			}
			if err := from.Broadcast(t.Context(), m, message.Target{}); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 1000 {
		if got := to.Next(t).Event(); got != strconv.Itoa(i) {
			t.Fatalf("got %s, want %d", got, i)
		}
	}
	publishing.Wait()
}

// TestAlike publishes the same message often at once: PostgreSQL delivers what is notified twice in a transaction once.
func TestAlike(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, postgres.Options{URL: server.URL()})
	from, _ := join(t, d1, "/")
	_, to := join(t, d2, "/")
	// As long as can be without the table: there is no room for what tells one from another.
	full := message.New(fmt.Appendf(nil, `["full",%q]`, strings.Repeat("x", 7870)))
	const each, publishers = 50, 16
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			for range each {
				for _, m := range []*message.Message{newMessage("alike"), full} {
					if err := from.Broadcast(t.Context(), m, message.Target{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	publishing.Wait()
	emit(t, from, newMessage("end"))
	counts := map[string]int{}
	for _, event := range to.Until(t, "end") {
		counts[event]++
	}
	if counts["alike"] != each*publishers || counts["full"] != each*publishers {
		t.Errorf("got %v, want %d of each", counts, each*publishers)
	}
}

// TestNames gives namespaces names that SQL, or a channel, may take for something else.
func TestNames(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d1, d2 := open(t, postgres.Options{URL: server.URL()}), open(t, postgres.Options{URL: server.URL()})
	long := "/" + strings.Repeat("a", 60)
	names := []string{
		"/", "/plain", `/"; DROP TABLE socket_io_attachments; --`, `/"`, `/""`, `/'`, "/$1", "/%s", "/\n", "/\x00", "/\ufffd", "/a\x00b", "/Ünïcode 🦉",
		"/UPPER", "/upper", long, long + "b", long + "c", "/" + strings.Repeat("🦉", 20), "/" + strings.Repeat("é", 40), "/" + strings.Repeat("é", 41),
	}
	type pair struct {
		from *adapter.Adapter
		to   *adaptertest.Member
	}
	var pairs []pair
	for _, name := range names {
		from, _ := join(t, d1, name)
		_, to := join(t, d2, name)
		pairs = append(pairs, pair{from, to})
	}
	big := strings.Repeat("big", 5000)
	for i, p := range pairs {
		emit(t, p.from, newMessage(names[i]))
		emit(t, p.from, message.New(fmt.Appendf(nil, `["big",%q]`, big)))
	}
	for i, p := range pairs {
		emit(t, p.from, newMessage("fence"))
		got := p.to.Until(t, "fence")
		if len(got) != 2 || got[1] != "big" {
			t.Errorf("namespace %q got %q", names[i], got)
		}
	}
	if got := rows(t, server); got != len(names) {
		t.Errorf("%d messages are in the table, want %d", got, len(names))
	}
	// Those that share a channel leave it one by one.
	for i, p := range pairs[:len(pairs)-1] {
		if err := p.from.Close(t.Context()); err != nil {
			t.Errorf("closing %q: %v", names[i], err)
		}
	}
	last := pairs[len(pairs)-1]
	emit(t, last.from, newMessage("last"))
	last.to.Until(t, "last")
}

// TestTextOfDatabases publishes text to databases that have no letters for it.
func TestTextOfDatabases(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII", "UTF8"} {
		server.Do("CREATE DATABASE " + encoding + " TEMPLATE template0 ENCODING '" + encoding + "' LOCALE 'C'")
		url := strings.Replace(server.URL(), "/postgres?", "/"+strings.ToLower(encoding)+"?", 1)
		d1, d2 := open(t, postgres.Options{URL: url}), open(t, postgres.Options{URL: url})
		from, _ := join(t, d1, "/")
		_, to := join(t, d2, "/")
		for _, text := range []string{"plain", "Grüße", "世界 🦉"} {
			emit(t, from, newMessage(text))
			if got := to.Next(t).Event(); got != text {
				t.Errorf("%s: %s became %q", encoding, text, got)
			}
		}
	}
}
