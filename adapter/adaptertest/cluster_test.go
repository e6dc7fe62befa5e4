package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func drivers(t *testing.T, nodes int) []adapter.Driver {
	c := adaptertest.NewCluster()
	ds := make([]adapter.Driver, nodes)
	for i := range ds {
		d := c.NewDriver()
		t.Cleanup(func() {
			if err := d.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		ds[i] = d
	}
	return ds
}

func TestConformance(t *testing.T) { adaptertest.Run(t, drivers) }

func sequencers(t *testing.T, nodes int) []adapter.Driver {
	c := adaptertest.NewCluster()
	ds := make([]adapter.Driver, nodes)
	for i := range ds {
		d := c.NewSequencer()
		t.Cleanup(func() {
			if err := d.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		ds[i] = d
	}
	return ds
}

func TestSequencerConformance(t *testing.T) {
	adaptertest.Run(t, sequencers)
	adaptertest.RunSequencer(t, sequencers)
}

func newMessage(event string) *message.Message {
	return message.New(fmt.Appendf(nil, "[%q]", event))
}

// node returns an adapter of one more node of c, with a member.
func node(t *testing.T, c *adaptertest.Cluster, id string) (*adapter.Adapter, *adaptertest.Member) {
	t.Helper()
	d := c.NewDriver()
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	a, err := adapter.New(t.Context(), "/", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := adaptertest.NewMember(id)
	a.Add(t.Context(), m)
	return a, m
}

func TestFail(t *testing.T) {
	t.Parallel()
	c := adaptertest.NewCluster()
	a, here := node(t, c, "here")
	_, there := node(t, c, "there")

	away := errors.New("cable pulled")
	c.Fail(away)
	err := a.Broadcast(t.Context(), newMessage("lost"), message.Target{})
	if !errors.Is(err, away) || !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("Broadcast while the cluster is away: %v", err)
	}
	if got := here.Next(t).Event(); got != "lost" {
		t.Errorf("this node's member got %q", got)
	}
	if err := a.Ping(t.Context()); !errors.Is(err, away) {
		t.Errorf("Ping while the cluster is away: %v", err)
	}
	c.Fail(nil)
	if err := a.Broadcast(t.Context(), newMessage("found"), message.Target{}); err != nil {
		t.Error(err)
	}
	if before := there.Until(t, "found"); len(before) != 0 {
		t.Errorf("the other node got %v", before)
	}
	if got := a.Stats().PublishErrors["unavailable"]; got != 1 {
		t.Errorf("counted %d errors, want 1", got)
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	c := adaptertest.NewCluster()
	a, here := node(t, c, "here")
	_, there := node(t, c, "there")

	release := c.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- a.Broadcast(ctx, newMessage("given up"), message.Target{}) }()
	here.Until(t, "given up")
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Broadcast given up: %v", err)
	}
	go func() { result <- a.Broadcast(t.Context(), newMessage("patient"), message.Target{}) }()
	here.Until(t, "patient")
	release()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if before := there.Until(t, "patient"); len(before) != 0 {
		t.Errorf("the other node got %v", before)
	}
}
