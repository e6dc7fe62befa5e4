package lograte_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/lograte"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record is a logger that writes lines without their time, and what it wrote.
type record struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.Write(p)
}

// take returns the lines since the last call.
func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.bytes.String()
	r.bytes.Reset()
	return text
}

func (r *record) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestOneLinePerCauseAndInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r record
		l := lograte.New(r.logger(slog.LevelInfo), time.Minute)
		log := func(cause string, n int) {
			l.Log(t.Context(), slog.LevelWarn, cause, "refused "+cause, slog.Int("n", n))
		}
		want := func(lines ...string) {
			t.Helper()
			synctest.Wait()
			text := ""
			for _, s := range lines {
				text += s + "\n"
			}
			if got := r.take(); got != text {
				t.Errorf("got\n%swant\n%s", got, text)
			}
		}
		log("a", 0)
		log("b", 0)
		want(`level=WARN msg="refused a" n=0`, `level=WARN msg="refused b" n=0`)
		for n := range 800 {
			log("a", n+1)
		}
		l.Log(t.Context(), slog.LevelDebug, "a", "not enabled")
		want()
		time.Sleep(time.Minute)
		want(`level=WARN msg="refused a" n=800 repeated=800`)
		log("a", 801) // within the interval of that line
		log("b", 1)   // whose interval is over
		want(`level=WARN msg="refused b" n=1`)
		time.Sleep(time.Minute)
		want(`level=WARN msg="refused a" n=801 repeated=1`)
		time.Sleep(2 * time.Minute)
		want()
		log("a", 802)
		want(`level=WARN msg="refused a" n=802`)
		log("a", 803)
		l.Close()
		l.Close()
		want(`level=WARN msg="refused a" n=803 repeated=1`)
		log("a", 804)
		want(`level=WARN msg="refused a" n=804`)
	})
}

// TestManyCauses has more causes than are remembered: they share a line, and all are counted.
func TestManyCauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r record
		l := lograte.New(r.logger(slog.LevelInfo), time.Minute)
		const causes, each = 1000, 8
		var wg sync.WaitGroup
		for i := range causes {
			wg.Go(func() {
				for range each {
					l.Log(context.Background(), slog.LevelInfo, fmt.Sprint(i), "m")
				}
			})
		}
		wg.Wait()
		l.Close()
		total, lines := 0, strings.Split(strings.TrimSpace(r.take()), "\n")
		for _, line := range lines {
			_, count, repeated := strings.Cut(line, "repeated=")
			n := 1
			if repeated {
				if _, err := fmt.Sscan(count, &n); err != nil {
					t.Fatal(err)
				}
			}
			total += n
		}
		if total != causes*each || len(lines) > 2*129 {
			t.Errorf("%d events in %d lines, want %d events in fewer", total, len(lines), causes*each)
		}
	})
}
