package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/local"
	"github.com/peal-dev/peal/message"
)

const wait = 20 * time.Second

// directory makes one whose path is short enough.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "peal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newDriver(t *testing.T, opts local.Options) *local.Driver {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	d, err := local.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), wait)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestConformance(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, nodes int) []adapter.Driver {
		dir := directory(t)
		drivers := make([]adapter.Driver, nodes)
		for i := range drivers {
			drivers[i] = newDriver(t, local.Options{Dir: dir})
		}
		return drivers
	})
}

// join adds an adapter with one member to a driver. It answers events.
func join(t *testing.T, d adapter.Driver, name string) (*adapter.Adapter, *adaptertest.Member) {
	t.Helper()
	a, err := adapter.New(t.Context(), "/", d, &adapter.Options{OnEvent: func(_ context.Context, _ *adapter.Call, reply func([]byte, [][]byte)) {
		if reply != nil {
			reply([]byte("1"), nil)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := adaptertest.NewMember(name)
	if _, err := a.Add(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return a, m
}

func publish(t *testing.T, a *adapter.Adapter, event string) {
	t.Helper()
	if err := a.Broadcast(t.Context(), message.New(fmt.Appendf(nil, "[%q]", event)), message.Target{}); err != nil {
		t.Fatal(err)
	}
}

// Many start at the same time. What each publishes once it has started, and all have, reaches all, in order.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	const nodes, messages = 8, 200
	dir := directory(t)
	adapters, members := make([]*adapter.Adapter, nodes), make([]*adaptertest.Member, nodes)
	drivers := make([]*local.Driver, nodes)
	var starting sync.WaitGroup
	for i := range nodes {
		starting.Go(func() {
			drivers[i] = newDriver(t, local.Options{Dir: dir})
			adapters[i], members[i] = join(t, drivers[i], fmt.Sprint("m", i))
		})
	}
	starting.Wait()
	var publishing sync.WaitGroup
	for i, a := range adapters {
		publishing.Go(func() {
			for n := range messages {
				publish(t, a, fmt.Sprint(i, " ", n))
			}
			publish(t, a, fmt.Sprint("end of ", i))
		})
	}
	publishing.Wait()
	for i, m := range members {
		next := make([]int, nodes)
		seen := make(map[string]bool)
		for from := range nodes {
			if end := fmt.Sprint("end of ", from); !seen[end] {
				for _, event := range append(m.Until(t, end), end) {
					var publisher, n int
					if _, err := fmt.Sscanf(event, "%d %d", &publisher, &n); err != nil {
						seen[event] = true
						continue
					}
					if n != next[publisher] {
						t.Fatalf("%d got %d of %d, want %d", i, n, publisher, next[publisher])
					}
					next[publisher]++
				}
			}
		}
	}
	for i, d := range drivers {
		if n, err := adapters[i].Nodes(t.Context()); n != nodes || err != nil {
			t.Errorf("%d knows of %d nodes, %v", i, n, err)
		}
		if stats := d.Stats(); stats.Dropped != 0 || stats.LastGap.Cause != "" {
			t.Errorf("%d: %+v", i, stats)
		}
	}
}

// tape is a member that keeps a lot.
type tape chan string

func (tape) ID() string                   { return "tape" }
func (t tape) Deliver(m *message.Message) { t <- m.Event() }
func (tape) Disconnect(bool)              {}

// Processes are killed one after another while others publish, the host first. Whatever those publish that are not killed
// arrives, once and in order, and of those that are all until some moment. Nobody counts a gap.
func TestProcessesAreKilled(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	host := startProcess(t, dir, "host")
	processes := []*process{host}
	for _, name := range []string{"a", "b", "c"} {
		processes = append(processes, startProcess(t, dir, name))
	}
	d := newDriver(t, local.Options{Dir: dir})
	a, err := adapter.New(t.Context(), "/", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(tape, 1<<20)
	if _, err := a.Add(t.Context(), heard); err != nil {
		t.Fatal(err)
	}
	next := make(map[string]int)
	// until takes what comes until count more events of the process have.
	until := func(name string, count int) {
		t.Helper()
		for count > 0 {
			var event string
			select {
			case event = <-heard:
			case <-time.After(wait):
				t.Fatalf("%d more of %s do not come", count, name)
			}
			var from string
			var n int
			if _, err := fmt.Sscanf(event, "%s %d", &from, &n); err != nil {
				t.Fatalf("%q: %v", event, err)
			}
			if want, known := next[from]; known && n != want {
				t.Fatalf("got %d of %s, want %d", n, from, want)
			}
			next[from] = n + 1
			if from == name {
				count--
			}
		}
	}
	for _, p := range processes {
		until(p.name, 100)
	}
	for i := range 3 {
		processes[i].kill()
		for _, p := range processes[i+1:] {
			until(p.name, 500)
		}
		newcomer := startProcess(t, dir, fmt.Sprint("new", i))
		processes = append(processes, newcomer)
		until(newcomer.name, 100)
		if next[newcomer.name] != 100 {
			t.Errorf("%s was heard from %d on", newcomer.name, next[newcomer.name]-100)
		}
	}
	for _, p := range processes[3:] {
		published := p.end()
		until(p.name, published-next[p.name])
	}
	if stats := d.Stats(); stats.LastGap.Cause != "" {
		t.Errorf("a gap: %+v", stats)
	}
	if n, err := a.Nodes(t.Context()); n != 1 || err != nil {
		t.Errorf("%d nodes are left, %v", n, err)
	}
}

// A process that is killed is missed at once by a call that it does not answer.
func TestCallOfTheKilled(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	one, two := newDriver(t, local.Options{Dir: dir}), newDriver(t, local.Options{Dir: dir})
	first, _ := join(t, one, "a")
	join(t, two, "b")
	silent := startProcess(t, dir, "c") // which handles no events of nodes
	if n, err := first.Nodes(t.Context()); n != 3 || err != nil {
		t.Fatalf("%d nodes, %v", n, err)
	}
	ended, answered := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := first.Call(t.Context(), &adapter.Call{Kind: adapter.CallEvent, Message: message.New([]byte(`["q"]`)), Timeout: 2 * wait},
			func(adapter.Answer) { close(answered) })
		ended <- err
	}()
	<-answered
	began := time.Now()
	silent.kill()
	var incomplete *adapter.IncompleteError
	if err := <-ended; !errors.As(err, &incomplete) || len(incomplete.Missing) != 1 {
		t.Errorf("the call ended with %v", err)
	}
	if took := time.Since(began); took > wait/4 {
		t.Errorf("after %v", took)
	}
}

// A process that does not read holds the others up for no longer than the Timeout, and knows how many messages it has missed
// when it reads again.
func TestProcessThatDoesNotRead(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	const timeout = 300 * time.Millisecond
	one, two := newDriver(t, local.Options{Dir: dir, Timeout: timeout, QueueBytes: 1 << 20}), newDriver(t, local.Options{Dir: dir})
	first, _ := join(t, one, "a")
	_, m := join(t, two, "b")
	conn, err := net.Dial("unix", filepath.Join(dir, "host.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Repeat("f", local.IDSize)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	began, big := time.Now(), strings.Repeat("x", 100<<10)
	for range 50 { // 5 MB, of which the kernel and the queue hold one and some
		publish(t, first, big)
	}
	publish(t, first, "end")
	m.Until(t, "end")
	if took := time.Since(began); took < timeout/2 || took > wait/2 {
		t.Errorf("held up for %v", took)
	}
	if err := first.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// A process that was stopped, and cut off, knows how many messages it has missed when it goes on.
func TestMissedMessagesAreCounted(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	opts := local.Options{Dir: dir, QueueBytes: 1 << 16}
	one, two := newDriver(t, opts), newDriver(t, opts)
	first, _ := join(t, one, "a")
	_, m := join(t, two, "b")
	publish(t, first, "before")
	m.Until(t, "before")
	socket := filepath.Join(dir, "host.sock")
	if err := os.Rename(socket, socket+"!"); err != nil { // so that it does not come back at once
		t.Fatal(err)
	}
	two.Cut() // as the host does that has had enough
	const missed, size = 100, 10 << 10
	for range missed {
		publish(t, first, strings.Repeat("x", size))
	}
	publish(t, first, "end")
	if err := os.Rename(socket+"!", socket); err != nil {
		t.Fatal(err)
	}
	got := m.Until(t, "end")
	stats := two.Stats()
	if stats.Gaps[adapter.GapLost] != 1 || len(got)+int(stats.LastGap.Dropped) != missed || stats.LastGap.Dropped == 0 {
		t.Errorf("%d came, and %+v was counted", len(got), stats.LastGap)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(directory(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]local.Options{"none": {}, "too long": {Dir: "/" + strings.Repeat("x", 100)}, "a file": {Dir: file}} {
		d, err := local.New(opts)
		if err == nil {
			t.Errorf("%s: made", name)
			_ = d.Close(t.Context())
		}
	}
	if (&local.Options{Dir: "/run/peal"}).Validate() != nil {
		t.Error("a directory is refused")
	}
	dir := filepath.Join(directory(t), "new", "one")
	d := newDriver(t, local.Options{Dir: dir})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made %v, %v", info, err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := d.Subscribe(t.Context(), "/", nil); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("subscribed: %v", err)
	}
}
