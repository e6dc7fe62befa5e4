package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/peal-dev/peal/sse"
)

// witnessRoom is where the witnesses are and nobody else speaks.
const witnessRoom = "witnesses"

// audience is a publisher and witnesses on every transport and node, who hear all it says.
type audience struct {
	cancel    context.CancelFunc
	published int
	failed    error // what ended the publisher
	speaking  sync.WaitGroup
	listening sync.WaitGroup
	witnesses []*witness
	stop      chan struct{}
}

// witness hears numbered messages.
type witness struct {
	name   string
	joined chan struct{} // closed when it is in the room
	once   sync.Once

	mu        sync.Mutex // protects the following
	last      int        // number of the last message; 0 before the first
	heard     int
	wrong     []string
	ended     error
	latencies []time.Duration // since they were last asked for
}

// newAudience returns when every witness is in the room and the publisher speaks.
func newAudience(t *testing.T, nodes []*program) *audience {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &audience{cancel: cancel, stop: make(chan struct{})}
	t.Cleanup(func() {
		cancel()
		a.speaking.Wait()
		a.listening.Wait()
	})
	for i, n := range nodes {
		for kind, listen := range map[string]func(*witness, context.Context, *program) error{
			"websocket": (*witness).overWebSocket, "polling": (*witness).overPolling, "events": (*witness).overEvents,
		} {
			for k := range 3 {
				w := &witness{name: fmt.Sprintf("%s %d of node %d", kind, k, i), joined: make(chan struct{})}
				a.witnesses = append(a.witnesses, w)
				a.listening.Go(func() {
					err := listen(w, ctx, n)
					w.mu.Lock()
					defer w.mu.Unlock()
					w.ended = err
				})
			}
		}
	}
	for _, w := range a.witnesses {
		select {
		case <-w.joined:
		case <-time.After(patience):
			t.Fatalf("%s does not get into the room", w.name)
		}
	}
	a.speaking.Go(func() { a.failed = a.speak(ctx, nodes[0]) })
	return a
}

// speak publishes a message every 50 ms.
func (a *audience) speak(ctx context.Context, n *program) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	header := http.Header{"Authorization": {"Bearer " + soakKey}, "Content-Type": {"application/json"}}
	for {
		select {
		case <-a.stop:
			return nil
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		a.published++
		body := fmt.Sprintf(`{"rooms":[%q],"event":"tick","args":[%d,%d]}`, witnessRoom, a.published, time.Now().UnixNano())
		status, answer, err := request(ctx, n, http.MethodPost, "/v1/publish", body, header)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, answer)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("message %d: %w", a.published, err)
		}
	}
}

// hear takes the arguments of an event.
func (w *witness) hear(args []byte) {
	var numbers []int64
	if err := json.Unmarshal(args, &numbers); err != nil || len(numbers) != 2 {
		w.note("arguments %.60q", args)
		return
	}
	n := int(numbers[0])
	w.mu.Lock()
	expected := w.last + 1
	first := w.last == 0
	w.last = n
	w.heard++
	w.latencies = append(w.latencies, time.Duration(time.Now().UnixNano()-numbers[1]))
	w.mu.Unlock()
	if !first && n != expected {
		w.note("message %d instead of %d", n, expected)
	}
}

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

func (w *witness) isIn() { w.once.Do(func() { close(w.joined) }) }

// subscribe asks for the room, with an acknowledgement.
const subscribe = `420["subscribe","` + witnessRoom + `"]`

// take handles a Socket.IO packet, with the type of its Engine.IO packet before it.
func (w *witness) take(packet string) {
	if problem := refusedByClients(packet); problem != "" {
		w.note("%s: %.80q", problem, packet)
	}
	switch rest, isTick := strings.CutPrefix(packet, `42["tick",`); {
	case isTick:
		w.hear([]byte("[" + rest))
	case strings.HasPrefix(packet, "430"):
		w.isIn()
	}
}

// reserved are the events for which official clients close their connection (socket.io-parser 4.2).
var reserved = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}

// refusedByClients says why official clients would close their connection when they receive a packet.
func refusedByClients(packet string) string {
	if !utf8.ValidString(packet) {
		return "not UTF-8"
	}
	body, isEvent := strings.CutPrefix(packet, "42")
	if binary, ok := strings.CutPrefix(packet, "45"); ok {
		count, rest, _ := strings.Cut(binary, "-")
		if n, err := strconv.Atoi(count); err != nil || n < 1 || n > 10 {
			return "attachments"
		}
		body, isEvent = rest, true
	}
	if !isEvent {
		return ""
	}
	var list []any
	if err := json.Unmarshal([]byte(strings.TrimLeft(body, "0123456789")), &list); err != nil || len(list) == 0 {
		return "an event that is no list with a name"
	}
	switch name := list[0].(type) {
	case string:
		if slices.Contains(reserved, name) {
			return "a reserved name"
		}
		return ""
	case float64:
		return ""
	default:
		return "an event without a name"
	}
}

func (w *witness) overWebSocket(ctx context.Context, n *program) error {
	c, err := joined(ctx, n)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := c.Write(frame(text, subscribe)); err != nil {
		return err
	}
	for {
		packet, err := c.until("4")
		if err != nil {
			return ignoring(ctx, err)
		}
		w.take(packet)
	}
}

func (w *witness) overPolling(ctx context.Context, n *program) error {
	sid, err := session(ctx, n)
	if err != nil {
		return err
	}
	path := "/socket.io/?EIO=4&transport=polling&sid=" + sid
	post := func(body string) error {
		status, answer, err := request(ctx, n, http.MethodPost, path, body, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("POST: status %d: %s", status, answer)
		}
		return err
	}
	if err := post("40\x1e" + subscribe); err != nil {
		return err
	}
	for {
		status, body, err := request(ctx, n, http.MethodGet, path, "", nil)
		if err != nil {
			return ignoring(ctx, err)
		}
		if status != http.StatusOK {
			return fmt.Errorf("poll: status %d: %s", status, body)
		}
		for packet := range strings.SplitSeq(body, "\x1e") {
			switch packet {
			case "2":
				if err := post("3"); err != nil {
					return ignoring(ctx, err)
				}
			case "1":
				return errors.New("the server has closed the session")
			default:
				w.take(packet)
			}
		}
	}
}

func (w *witness) overEvents(ctx context.Context, n *program) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+"/v1/events?room="+witnessRoom, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		return fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	w.isIn()
	for events := sse.NewReader(response.Body); ; {
		event, err := events.Next()
		if err != nil {
			return ignoring(ctx, err)
		}
		if event.Name == "tick" {
			w.hear(bytes.TrimSpace([]byte(event.Data)))
		}
	}
}

// ignoring drops an error that is only the end of the test.
func ignoring(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// check fails the test for every witness that was disconnected or heard something wrong.
func (a *audience) check(t *testing.T) {
	t.Helper()
	for _, w := range a.witnesses {
		w.mu.Lock()
		if w.ended != nil {
			t.Errorf("%s was cut: %v", w.name, w.ended)
		}
		if len(w.wrong) > 0 {
			t.Errorf("%s heard wrongly %d times of %d: %s", w.name, len(w.wrong), w.heard, strings.Join(w.wrong[:min(5, len(w.wrong))], "; "))
		}
		w.wrong = nil
		w.mu.Unlock()
	}
}

// latency returns the median, the 99th percentile and the maximum of what was heard since the last call.
func (a *audience) latency() []time.Duration {
	var all []time.Duration
	for _, w := range a.witnesses {
		w.mu.Lock()
		all = append(all, w.latencies...)
		w.latencies = nil
		w.mu.Unlock()
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(100 * time.Microsecond) }
	return []time.Duration{at(0.5), at(0.99), at(1)}
}

// leave ends the publisher, sees that everyone has heard all it said, and lets the witnesses go.
func (a *audience) leave(t *testing.T) {
	t.Helper()
	close(a.stop)
	a.speaking.Wait()
	if a.failed != nil {
		t.Errorf("publishing failed: %v", a.failed)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if !slices.ContainsFunc(a.witnesses, func(w *witness) bool { return w.lastHeard() < a.published && w.listens() }) {
			break
		}
	}
	for _, w := range a.witnesses {
		if last := w.lastHeard(); last != a.published {
			t.Errorf("%s heard up to message %d of %d", w.name, last, a.published)
		}
	}
	a.check(t)
	a.cancel()
	a.listening.Wait()
}

func (w *witness) lastHeard() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *witness) listens() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended == nil
}
