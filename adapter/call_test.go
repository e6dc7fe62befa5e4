package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// callLink is a driver whose calls do what a test says.
type callLink struct {
	stubDriver
	call func(ctx context.Context, c *adapter.Call, each func(adapter.Answer)) ([]adapter.NodeID, error)
}

func (l *callLink) Subscribe(_ context.Context, _ string, r adapter.Receiver) (adapter.Link, error) {
	l.receiver = r
	return l, nil
}

func (l *callLink) Call(ctx context.Context, c *adapter.Call, each func(adapter.Answer)) ([]adapter.NodeID, error) {
	return l.call(ctx, c, each)
}

func (l *callLink) Nodes(context.Context) (int, error) { return 2, nil }

// TestCallIsBounded asks too much: each bound is an error that says so, and is counted.
func TestCallIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &callLink{}
		a := newAdapter(t, d)
		d.call = func(ctx context.Context, c *adapter.Call, _ func(adapter.Answer)) ([]adapter.NodeID, error) {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != c.Timeout || c.Timeout != adapter.DefaultCallTimeout {
				t.Errorf("a call without a timeout has %v", c.Timeout)
			}
			<-ctx.Done()
			return []adapter.NodeID{""}, &adapter.IncompleteError{Missing: []adapter.NodeID{""}, Nodes: 1}
		}
		own, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		whole := d.call
		d.call = func(_ context.Context, c *adapter.Call, _ func(adapter.Answer)) ([]adapter.NodeID, error) {
			if c.Timeout != time.Hour {
				t.Errorf("a call whose context has an hour has %v", c.Timeout)
			}
			return nil, nil
		}
		if _, err := a.Call(own, &adapter.Call{Kind: adapter.CallRooms}, nil); err != nil {
			t.Error(err)
		}
		d.call = whole
		var incomplete, overloaded atomic.Int32
		for range 1024 + 10 {
			go func() {
				missing, err := a.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, nil)
				switch {
				case errors.Is(err, adapter.ErrIncomplete) && len(missing) == 1:
					incomplete.Add(1)
				case errors.Is(err, adapter.ErrOverloaded):
					overloaded.Add(1)
				default:
					t.Errorf("call: %v", err)
				}
			}()
		}
		time.Sleep(2 * adapter.DefaultCallTimeout) // of the bubble
		if incomplete.Load() != 1024 || overloaded.Load() != 10 {
			t.Errorf("%d calls waited and %d were too many", incomplete.Load(), overloaded.Load())
		}
		received := 0
		d.call = func(ctx context.Context, _ *adapter.Call, each func(adapter.Answer)) ([]adapter.NodeID, error) {
			for range 100 {
				each(adapter.Answer{Members: [][]byte{make([]byte, 1<<20)}})
			}
			<-ctx.Done()
			return nil, nil
		}
		if _, err := a.Call(t.Context(), &adapter.Call{Kind: adapter.CallMembers}, func(adapter.Answer) { received++ }); !errors.Is(err, adapter.ErrOverloaded) || received != 64 {
			t.Errorf("100 MiB of answers: %d MiB and %v", received, err)
		}
		s := a.Stats()
		if s.Calls != 1036 || s.CallErrors["incomplete"] != 1024 || s.CallErrors["overloaded"] != 11 {
			t.Errorf("stats = %+v", s)
		}
	})
}

func TestDriverWithoutCalls(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, &stubDriver{})
	if _, err := a.Call(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, nil); !errors.Is(err, adapter.ErrNoCalls) {
		t.Errorf("Call = %v", err)
	}
	if _, err := a.Nodes(t.Context()); !errors.Is(err, adapter.ErrNoCalls) {
		t.Errorf("Nodes = %v", err)
	}
}

// TestCallGivenUpWhileItIsAsked has answers come, and the caller give up, before the driver knows that it has asked.
func TestCallGivenUpWhileItIsAsked(t *testing.T) {
	t.Parallel()
	for _, answers := range []int{0, 1, 2} {
		var calls adapter.Calls
		ctx, cancel := context.WithCancel(t.Context())
		got := 0
		missing, err := calls.Do(ctx, &adapter.Call{Kind: adapter.CallRooms}, adapter.CallQuestion{
			ID:     "id",
			Others: func(context.Context) (int, error) { return 2, nil },
			Ask: func(ctx context.Context) error {
				for i := range answers {
					calls.Answer("id", adapter.Answer{Node: adapter.NodeID(rune('a' + i))})
				}
				cancel()
				return ctx.Err()
			},
		}, func(adapter.Answer) { got++ })
		incomplete := new(adapter.IncompleteError)
		isPart := errors.As(err, &incomplete) && len(missing) == 1
		if got != answers || answers == 0 && !errors.Is(err, context.Canceled) || answers == 1 && !isPart || answers == 2 && err != nil {
			t.Errorf("%d of 2 answers: got %d, missing %q, %v", answers, got, missing, err)
		}
	}
}

// TestCalls gives answers in every order: a call ends when all have come, and says what is missing if they do not.
func TestCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls adapter.Calls
		var others atomic.Int32
		others.Store(2)
		do := func(kind adapter.CallKind, answers ...adapter.Answer) (got int, took time.Duration, missing []adapter.NodeID, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			missing, err = calls.Do(ctx, &adapter.Call{Kind: kind}, adapter.CallQuestion{
				ID:     "id",
				Others: func(context.Context) (int, error) { return int(others.Load()), nil },
				Ask: func(context.Context) error {
					if calls.Kind("id") != kind {
						t.Error("the call is asked before it waits for answers")
					}
					for _, a := range answers {
						calls.Answer("id", a)
					}
					return nil
				},
			}, func(adapter.Answer) { got++ })
			return got, time.Since(began), missing, err
		}
		count := func(n int, node adapter.NodeID) adapter.Answer {
			return adapter.Answer{Part: adapter.AnswerCount, Count: n, Node: node}
		}
		reply, gone := adapter.Answer{Part: adapter.AnswerReply}, adapter.Answer{Part: adapter.AnswerGone}
		for name, tt := range map[string]struct {
			kind    adapter.CallKind
			answers []adapter.Answer
			got     int
			missing string
			silent  int
		}{
			"all":               {adapter.CallRooms, []adapter.Answer{{Node: "a"}, {Node: "b"}}, 2, "[]", 0},
			"all, unnamed":      {adapter.CallRooms, []adapter.Answer{{}, {}}, 2, "[]", 0},
			"one twice":         {adapter.CallRooms, []adapter.Answer{{Node: "a"}, {Node: "a"}}, 1, "", 0},
			"one unnamed":       {adapter.CallRooms, []adapter.Answer{{}}, 1, "", 0},
			"none":              {adapter.CallRooms, nil, 0, "", 0},
			"nobody is asked":   {adapter.CallAsk, []adapter.Answer{count(0, "a"), count(0, "b")}, 2, "[]", 0},
			"replies":           {adapter.CallAsk, []adapter.Answer{count(2, "a"), reply, count(1, "b"), reply, reply}, 5, "[]", 0},
			"reply before last": {adapter.CallAsk, []adapter.Answer{count(1, "a"), reply, count(0, "b")}, 3, "[]", 0},
			"gone":              {adapter.CallAsk, []adapter.Answer{count(2, "a"), gone, gone, count(0, "b")}, 4, "[]", 0},
			"one silent":        {adapter.CallAsk, []adapter.Answer{count(2, "a"), reply, count(0, "b")}, 3, "[]", 1},
			"negative":          {adapter.CallAsk, []adapter.Answer{count(-5, "a"), count(0, "b")}, 2, "[]", 0},
		} {
			got, took, missing, err := do(tt.kind, tt.answers...)
			if whole := tt.missing == "[]" && tt.silent == 0; got != tt.got || whole != (err == nil) || whole != (took == 0) || tt.missing == "[]" && len(missing) > 0 {
				t.Errorf("%s: %d answers in %v, missing %q, %v", name, got, took, missing, err)
			}
			incomplete := new(adapter.IncompleteError)
			if err != nil && (!errors.As(err, &incomplete) || incomplete.Silent != tt.silent || len(incomplete.Missing) != len(missing)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Who is missing is known if the nodes name themselves, and only then.
		do(adapter.CallRooms, adapter.Answer{Node: "a"}, adapter.Answer{Node: "b"})
		if _, _, missing, _ := do(adapter.CallRooms, adapter.Answer{Node: "b"}); fmt.Sprintf("%q", missing) != `["a"]` {
			t.Errorf("missing %q, want a", missing)
		}
		others.Store(3)
		if _, _, missing, _ := do(adapter.CallRooms, adapter.Answer{Node: "b"}); fmt.Sprintf("%q", missing) != `["a" ""]` {
			t.Errorf("missing %q, want a and one without a name", missing)
		}
		// A node that leaves is not waited for.
		go func() {
			time.Sleep(time.Second) // of the bubble
			others.Store(1)
		}()
		_, took, missing, err := do(adapter.CallRooms, adapter.Answer{Node: "b"})
		if !errors.Is(err, adapter.ErrIncomplete) || len(missing) != 2 || took > 2*time.Second {
			t.Errorf("after two have left: missing %q in %v, %v", missing, took, err)
		}
		before := calls.Late()
		calls.Answer("id", adapter.Answer{})
		calls.Answer("other", adapter.Answer{})
		if got := calls.Late() - before; got != 2 {
			t.Errorf("%d late answers, want 2", got)
		}
		others.Store(0)
		if got, took, _, err := do(adapter.CallRooms); got != 0 || took != 0 || err != nil {
			t.Errorf("a call of nobody: %v", err)
		}
	})
}

// TestEventsAreBounded sends events to a node whose handler takes its time: they are handled in order, and too many are
// counted.
func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	d := &stubDriver{}
	handled := make(chan string)
	a, err := adapter.New(t.Context(), "/", d, &adapter.Options{OnEvent: func(_ context.Context, c *adapter.Call, _ func([]byte, [][]byte)) {
		handled <- c.Message.Event()
	}})
	if err != nil {
		t.Fatal(err)
	}
	const sent = 1100
	for i := range sent {
		d.receiver.Receive(&adapter.Envelope{Kind: adapter.KindEvent, Message: message.New(fmt.Appendf(nil, `["%d"]`, i))})
	}
	unanswered := int(a.Stats().Unanswered)
	if unanswered < sent-1024-1 || unanswered > sent-1024 {
		t.Errorf("%d events were too many", unanswered)
	}
	// Those that are given up are the last, but for one that finds the place of the first to be handled.
	last := -1
	for i := range sent - unanswered {
		got, err := strconv.Atoi(<-handled)
		if err != nil || got <= last || got != i && i < 1024 {
			t.Fatalf("event %d is %d behind %d, %v", i, got, last, err)
		}
		last = got
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestEventsAreBoundedInBytes sends large events to a node whose handler takes its time.
func TestEventsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	d := &stubDriver{}
	handled := make(chan string)
	a, err := adapter.New(t.Context(), "/", d, &adapter.Options{OnEvent: func(_ context.Context, c *adapter.Call, _ func([]byte, [][]byte)) {
		handled <- c.Message.Event()
	}})
	if err != nil {
		t.Fatal(err)
	}
	const sent, size = 40, 1 << 20
	for range 2 { // what was handled does not count
		before := a.Stats().Unanswered
		for i := range sent {
			d.receiver.Receive(&adapter.Envelope{Kind: adapter.KindEvent, Message: message.New(fmt.Appendf(nil, `["%d",{"_placeholder":true,"num":0}]`, i), make([]byte, size))})
		}
		given := int(a.Stats().Unanswered - before)
		if left := sent - given; left < 15 || left > 17 { // one may be with the handler
			t.Errorf("%d events of 1 MiB wait", left)
		}
		// They come in order. Which one was too many depends on when the handler takes the first.
		for i, last := 0, -1; i < sent-given; i++ {
			n, err := strconv.Atoi(<-handled)
			if err != nil || n <= last || i < 15 && n != i {
				t.Fatalf("event %d is %d, behind %d; %v", i, n, last, err)
			}
			last = n
		}
	}
	d.receiver.Receive(&adapter.Envelope{Kind: adapter.KindEvent, Message: message.New([]byte(`["large"]`), make([]byte, 20*size))})
	if got := <-handled; got != "large" {
		t.Errorf("%s is there, want the one that is larger than all may be", got)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHandlersOfEventsHaveADeadline has one wait for the end of its context, whether an answer is wanted or not.
func TestHandlersOfEventsHaveADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &stubDriver{}
		ended := make(chan time.Time, 2)
		a, err := adapter.New(t.Context(), "/", d, &adapter.Options{OnEvent: func(ctx context.Context, _ *adapter.Call, _ func([]byte, [][]byte)) {
			<-ctx.Done()
			ended <- time.Now()
		}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		m := message.New([]byte(`["x"]`))
		d.receiver.Receive(&adapter.Envelope{Kind: adapter.KindEvent, Message: m})
		d.receiver.Answer(&adapter.Call{Kind: adapter.CallEvent, Message: m, Timeout: time.Second}, func(adapter.Answer) {})
		for _, want := range []time.Duration{adapter.DefaultCallTimeout, adapter.DefaultCallTimeout + time.Second} {
			if got := (<-ended).Sub(began); got != want {
				t.Errorf("it ended after %v, want %v", got, want)
			}
		}
		synctest.Wait()
		if st := a.Stats(); st.Overdue != 2 {
			t.Errorf("%d are counted", st.Overdue)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestCloseEndsHandlers closes an adapter whose handler waits for the end of its context.
func TestCloseEndsHandlers(t *testing.T) {
	t.Parallel()
	d := &stubDriver{}
	began := make(chan struct{})
	a, err := adapter.New(t.Context(), "/", d, &adapter.Options{OnEvent: func(ctx context.Context, _ *adapter.Call, reply func([]byte, [][]byte)) {
		close(began)
		<-ctx.Done()
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := &adapter.Call{Kind: adapter.CallEvent, Message: message.New([]byte(`["x"]`)), Timeout: time.Hour}
	d.receiver.Answer(c, func(adapter.Answer) {})
	d.receiver.Answer(c, func(adapter.Answer) { t.Error("what waited is handled after the end") })
	<-began
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
