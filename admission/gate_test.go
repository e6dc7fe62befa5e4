package admission_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/admission"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	gate := admission.New(admission.Limits{Connections: 10_000, PerAddress: 1})
	// Both doors count at it: engineio.Options{Admission: gate} and sse.Options{Admission: gate}.
	fmt.Println(gate.Enter("192.0.2.1:50000", false))
	fmt.Println(gate.Enter("192.0.2.1:50001", false))
	gate.Leave("192.0.2.1:50000", false)
	fmt.Println(gate.Enter("192.0.2.1:50002", false), gate.Stats().Connections)
	// Output:
	// <nil>
	// admission: as many clients of this address are connected as the server lets in
	// <nil> 1
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want admission.Limits }{
		{admission.Limits{}, admission.Limits{Connections: 100_000, Pending: 25_000}},
		{admission.Limits{Connections: -1}, admission.Limits{Connections: -1, Pending: -1}},
		{admission.Limits{Connections: -100}, admission.Limits{Connections: -100, Pending: -1}},
		{admission.Limits{Connections: 2}, admission.Limits{Connections: 2, Pending: 1}},
		{admission.Limits{Connections: 8, Pending: 8, PerAddress: 3}, admission.Limits{Connections: 8, Pending: 8, PerAddress: 3}},
	} {
		if got := admission.New(tt.in).Limits(); got != tt.want {
			t.Errorf("%+v became %+v, want %+v", tt.in, got, tt.want)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	g := admission.New(admission.Limits{Connections: 3, Pending: 2})
	expect := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	expect(g.Enter("a", true), nil)
	expect(g.Enter("a", true), nil)
	expect(g.Enter("a", true), admission.ErrPending)
	expect(g.Enter("a", false), nil)
	expect(g.Enter("a", false), admission.ErrFull)
	g.Settle()
	g.Leave("a", false)
	expect(g.Enter("a", true), nil)
	if got := g.Stats(); got != (admission.Stats{Connections: 3, Pending: 2}) {
		t.Errorf("%+v", got)
	}
	for _, pending := range []bool{true, true, false} {
		g.Leave("a", pending)
	}
	if got := g.Stats(); got != (admission.Stats{}) {
		t.Errorf("%+v after all have left", got)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"192.0.2.1:1", "192.0.2.1", true}, // as a middleware sets it
		{"[2001:db8::1]:1", "[2001:db8::ffff:2]:1", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		{"@", "", true}, // Unix sockets
	} {
		g := admission.New(admission.Limits{PerAddress: 1})
		if err := g.Enter(tt.a, true); err != nil {
			t.Fatal(err)
		}
		if err := g.Enter(tt.b, true); errors.Is(err, admission.ErrAddress) != tt.same {
			t.Errorf("%s beside %s: %v", tt.b, tt.a, err)
		}
		if tt.same && g.Stats() != (admission.Stats{Connections: 1, Pending: 1}) {
			t.Errorf("one that was refused counts: %+v", g.Stats())
		}
		g.Leave(tt.a, true)
		if err := g.Enter(tt.a, true); err != nil {
			t.Errorf("%s after it left: %v", tt.a, err)
		}
	}
}

func TestTogether(t *testing.T) {
	t.Parallel()
	g := admission.New(admission.Limits{Connections: 50, Pending: 10, PerAddress: 20})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 2000 {
				addr, pending := fmt.Sprintf("192.0.2.%d:1", n%3), n%2 == 0
				if g.Enter(addr, pending) != nil {
					continue
				}
				if s := g.Stats(); s.Connections > 50+8 || s.Pending > 10+8 {
					t.Errorf("%+v", s)
				}
				if pending && i%2 == 0 {
					g.Settle()
					pending = false
				}
				g.Leave(addr, pending)
			}
		})
	}
	wg.Wait()
	if got := g.Stats(); got != (admission.Stats{}) {
		t.Errorf("%+v are left", got)
	}
}
