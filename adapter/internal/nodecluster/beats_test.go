package nodecluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/message"
)

// TestLossIsCounted has a broker swallow messages, and beats as well: within two seconds each node knows how many did not
// reach it, exactly.
func TestLossIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.stranger.cut()
		var nodes []*peal
		for i := range 3 {
			d := newDriver(c.broker, false, nodecluster.Options{})
			d.numbers = true
			nodes = append(nodes, c.nodeOf(fmt.Sprint("m", i), d))
		}
		swallowed := make(map[*nodecluster.Link]uint64)
		number, cut := 0, false
		c.broker.mu.Lock()
		c.broker.swallow = func(to *transport, b []byte) bool {
			switch number++; {
			case to.link == nodes[2].link && cut:
			case strings.Contains(string(b), `"event`) && number%7 == 0:
			default:
				return false
			}
			if strings.Contains(string(b), `"event`) && !strings.Contains(string(b), to.link.UID()) {
				swallowed[to.link]++
			}
			return true
		}
		c.broker.mu.Unlock()
		check := func(when string, from int) {
			t.Helper()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			c.broker.mu.Lock()
			defer c.broker.mu.Unlock()
			for i, n := range nodes[from:] {
				s := n.driver.Stats()
				if want := swallowed[n.link]; s.Lost != want || want == 0 || s.Gaps[adapter.GapLost] == 0 {
					t.Errorf("%s: node %d says that %d were lost, in gaps %v; want %d", when, i, s.Lost, s.Gaps, want)
				}
			}
		}
		emit := func(count int) {
			for i := range count {
				for _, n := range nodes {
					m := message.New(fmt.Appendf(nil, `["event %d"]`, i))
					if err := n.Broadcast(t.Context(), m, message.Target{}); err != nil {
						t.Error(err)
					}
				}
			}
		}
		time.Sleep(2 * time.Second) // a node counts from the first beat of another that it hears
		emit(500)
		check("every seventh message", 0)
		emit(1)
		time.Sleep(time.Second)
		// A node hears nothing for a while, beats included; then it asks for them.
		c.broker.mu.Lock()
		cut = true
		c.broker.mu.Unlock()
		for range 10 {
			emit(20)
			time.Sleep(time.Second)
		}
		c.broker.mu.Lock()
		cut = false
		c.broker.mu.Unlock()
		emit(10)
		time.Sleep(2 * time.Second)
		check("cut off for ten seconds", 0)

		// What a node has said last is told before it leaves.
		emit(100)
		if err := nodes[0].Close(context.Background()); err != nil {
			t.Error(err)
		}
		check("a node has left", 1)
	})
}
