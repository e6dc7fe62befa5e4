package filelog

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/internal/journal/journaltest"
)

// TestMoreKeysThanASegmentHolds: the state of a topic is bounded by a segment, and the latest keys are in it.
func TestMoreKeysThanASegmentHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		s := open(t, small(d))
		topic, err := s.Topic(t.Context(), "t", &eventlog.Policy{Count: 3})
		if err != nil {
			t.Fatal(err)
		}
		put := func(i int) eventlog.Appended {
			t.Helper()
			b := &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 100)}}, Key: fmt.Sprint(i, strings.Repeat("k", 200))}
			a, err := topic.Append(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		const count = 1000
		for i := range count {
			put(i)
			if i%20 == 0 {
				time.Sleep(keepEvery)
				synctest.Wait()
			}
		}
		if used := d.Used(); used > 100_000 {
			t.Errorf("%d bytes are used", used)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, small(d))
		if topic, err = s.Topic(t.Context(), "t", nil); err != nil {
			t.Fatal(err)
		}
		for i := count - 10; i < count; i++ {
			if a := put(i); !a.Duplicate {
				t.Errorf("key %d is not known any more", i)
			}
		}
		_ = s.Close()
	})
}
