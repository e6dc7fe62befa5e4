package redispubsub

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/testredis"
)

// empty is the receiver of a node without members.
type empty struct{}

func (empty) Receive(*adapter.Envelope)                  {}
func (empty) Answer(*adapter.Call, func(adapter.Answer)) {}
func (empty) HasRoom(string) bool                        { return false }

// TestStall has Redis take probes and send them to somebody else: the connection stands and nothing comes.
func TestStall(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	d, err := New(Options{URL: server.URL(), Timeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(t.Context())
	d.probing.Stop()
	joined, err := d.Subscribe(t.Context(), "/", empty{})
	if err != nil {
		t.Fatal(err)
	}
	l := joined.(*link)

	other, err := redisx.New(redisx.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	sub := other.Subscribe(redisx.Hooks{})
	defer sub.Close()
	if err := sub.Listen(func(string, []byte) {}).Add(redisx.Channel("elsewhere")).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.probed = "elsewhere"
	for range 2 {
		if err := l.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "come back") {
			t.Errorf("Ping that does not come back: %v", err)
		}
		if s := d.Stats(); s.Gaps[adapter.GapStall] != 1 || s.LastGap.Cause != adapter.GapStall || !s.LastGap.To.IsZero() {
			t.Errorf("stats = %+v, want one stall that lasts", s)
		}
	}
	l.probed = "nobody"
	if err := l.Ping(t.Context()); !errors.Is(err, adapter.ErrUnavailable) || !strings.Contains(err.Error(), "not even this one") {
		t.Errorf("Ping that nobody receives: %v", err)
	}
	l.probed = l.ownResponses
	if err := l.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := d.Stats(); s.Gaps[adapter.GapStall] != 1 || s.LastGap.To.IsZero() {
		t.Errorf("stats = %+v, want one stall that is over", s)
	}
}
