package adapter_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// TestSilentNode asks a node that is counted and known to be silent: nobody waits for it, unless it answers after all; then
// its members are waited for as all others.
func TestSilentNode(t *testing.T) {
	for _, answers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var calls adapter.Calls
			replies := 0
			began := time.Now()
			missing, err := calls.Do(t.Context(), &adapter.Call{Kind: adapter.CallAsk}, adapter.CallQuestion{
				ID:     "1",
				Others: func(context.Context) (int, error) { return 1, nil },
				Silent: func(context.Context) []adapter.NodeID { return []adapter.NodeID{"b"} },
				Ask: func(context.Context) error {
					if answers {
						calls.Answer("1", adapter.Answer{Part: adapter.AnswerCount, Node: "b", Count: 1})
						time.AfterFunc(time.Minute, func() { calls.Answer("1", adapter.Answer{Part: adapter.AnswerReply, Node: "b", Member: "m"}) })
					}
					return nil
				},
			}, func(a adapter.Answer) {
				if a.Part == adapter.AnswerReply {
					replies++
				}
			})
			switch after := time.Since(began); {
			case answers && (err != nil || replies != 1):
				t.Errorf("it answers after all: %d replies, missing %q, %v", replies, missing, err)
			case !answers && (err == nil || len(missing) != 1 || missing[0] != "b" || after > time.Second):
				t.Errorf("it is silent: missing %q after %v, %v; want b at once", missing, after, err)
			}
		})
	}
}

// TestGoneBeforeItIsAsked has a node be known to be gone after the call knows of it and before anybody was asked: the others are
// waited for.
func TestGoneBeforeItIsAsked(t *testing.T) {
	for name, others := range map[string]func(context.Context) (int, error){
		"counted": func(context.Context) (int, error) { return 2, nil },
		"named":   nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			var calls adapter.Calls
			answers := 0
			missing, err := calls.Do(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, adapter.CallQuestion{
				ID:     "1",
				Others: others,
				Names:  func() []adapter.NodeID { return []adapter.NodeID{"a", "b"} },
				Silent: func(context.Context) []adapter.NodeID { calls.Gone("a"); return nil },
				Ask: func(context.Context) error {
					time.AfterFunc(time.Second, func() { calls.Answer("1", adapter.Answer{Node: "b"}) })
					return nil
				},
			}, func(adapter.Answer) { answers++ })
			if answers != 1 || err == nil || !slices.Equal(missing, []adapter.NodeID{"a"}) {
				t.Errorf("%s: %d answers, missing %q, %v; want that of b, and a missing", name, answers, missing, err)
			}
		})
	}
}

// TestGoneWhileItIsAsked has nodes go at any moment of a call, from other goroutines.
func TestGoneWhileItIsAsked(t *testing.T) {
	t.Parallel()
	var calls adapter.Calls
	stop := make(chan struct{})
	var going sync.WaitGroup
	going.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				calls.Gone("a")
			}
		}
	})
	for n := range 1000 {
		id, answers := strconv.Itoa(n), 0
		missing, err := calls.Do(t.Context(), &adapter.Call{Kind: adapter.CallRooms}, adapter.CallQuestion{
			ID:     id,
			Others: func(context.Context) (int, error) { return 2, nil },
			Silent: func(context.Context) []adapter.NodeID { return []adapter.NodeID{"a"} },
			Ask: func(context.Context) error {
				go calls.Answer(id, adapter.Answer{Node: "b"})
				return nil
			},
		}, func(adapter.Answer) { answers++ })
		if answers != 1 || err == nil || !slices.Equal(missing, []adapter.NodeID{"a"}) {
			t.Fatalf("call %d: %d answers, missing %q, %v", n, answers, missing, err)
		}
	}
	close(stop)
	going.Wait()
}
