package swarm_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A client that the server forgets connects again, in the place that it has.
func TestConnectAgain(t *testing.T) {
	t.Parallel()
	const clients = 5
	var requests atomic.Int32
	var second atomic.Pointer[time.Time] // when a client connected again
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		if n == clients+1 {
			now := time.Now()
			second.Store(&now)
		}
		if n != 2 {
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}))
	defer ts.Close()
	loop, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	s := swarm.New(loop, swarm.Config{
		Target: netip.MustParseAddrPort(strings.TrimPrefix(ts.URL, "http://")), Transport: swarm.SSE, Again: 200 * time.Millisecond,
	})
	defer s.Close()
	if err := s.Connect(t.Context(), clients, clients); err != nil {
		t.Fatal(err)
	}
	if s.Again() < 1 || len(s.Clients()) != clients || s.Lost() != 0 {
		t.Errorf("%d again, %d clients, %d lost", s.Again(), len(s.Clients()), s.Lost())
	}
	// On a machine that stood still the others may be new as well.
	if s.Again() == 1 && !s.Prompt().Before(*second.Load()) {
		t.Errorf("the client that connected again at %s is taken for a prompt one: %s", *second.Load(), s.Prompt())
	}
	for i, c := range s.Clients() {
		if c.Index != i {
			t.Errorf("client %d is in place %d", c.Index, i)
		}
	}
}
