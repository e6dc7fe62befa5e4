package postgres

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/testpostgres"
)

// TestNothingIsLeft joins and leaves namespaces: the driver, and the server, forget them.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	server := testpostgres.Start(t)
	d, err := New(Options{URL: server.URL(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(t.Context())
	listened := func() int {
		d.listener.mu.Lock()
		defer d.listener.mu.Unlock()
		return len(d.listener.channels)
	}
	for round := range 2 {
		var adapters []*adapter.Adapter
		for i := range 5 {
			a, err := adapter.New(t.Context(), fmt.Sprint("/", i), d, nil)
			if err != nil {
				t.Fatal(err)
			}
			adapters = append(adapters, a)
		}
		if n := listened(); n != 1+2*len(adapters) {
			t.Errorf("%d channels, want two for each namespace and one more", n)
		}
		for _, a := range adapters {
			if err := a.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		for start := time.Now(); listened() > 1; { // the server is told in the background
			if time.Since(start) > 20*time.Second {
				t.Fatalf("round %d: %d channels are left", round, listened())
			}
		}
		d.mu.RLock()
		if len(d.channels) > 0 {
			t.Errorf("round %d: %d channels are handed on", round, len(d.channels))
		}
		d.mu.RUnlock()
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for start := time.Now(); len(server.Do("SELECT 1 FROM pg_stat_activity WHERE application_name = 'peal'")) > 0; {
		if time.Since(start) > 20*time.Second {
			t.Fatal("the server has connections of a driver that is closed")
		}
	}
}
