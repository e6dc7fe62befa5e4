package swarm_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
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

// A client that is lost, or refused, connects again when it is told to.
func TestReturn(t *testing.T) {
	t.Parallel()
	const clients = 5
	var requests [clients]atomic.Int32
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, err := strconv.Atoi(r.URL.RawQuery)
		if err != nil {
			t.Error(err)
			return
		}
		switch requests[client].Add(1) {
		case 1: // let in, and lost soon
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	defer ts.Close()
	loop, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	attempts := map[int]int{}
	ready, gone := 0, 0
	s := swarm.New(loop, swarm.Config{
		Target: netip.MustParseAddrPort(strings.TrimPrefix(ts.URL, "http://")), Transport: swarm.SSE,
		Subscribe: strconv.Itoa,
		Return: func(_, attempt int) time.Duration {
			attempts[attempt]++
			return time.Duration(attempt) * time.Millisecond
		},
		Ready: func(*swarm.Client) { ready++ },
		Gone:  func(*swarm.Client) { gone++ },
	})
	defer s.Close()
	if err := s.Connect(t.Context(), clients, clients); err != nil {
		t.Fatal(err)
	}
	if err := s.Until(t.Context(), time.Minute, func() bool { return ready == 2*clients && s.Present() == clients }); err != nil {
		t.Fatalf("%v: %d were let in, %d lost, attempts %v", err, ready, gone, attempts)
	}
	// Each was let in, lost, refused and let in again.
	if gone != clients || s.Lost() != clients || attempts[1] != clients || attempts[2] != clients || len(attempts) != 2 || s.Err() != nil {
		t.Errorf("%d lost, %d told of, attempts %v, %v", s.Lost(), gone, attempts, s.Err())
	}
}
