package adapter_test

import (
	"context"
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
