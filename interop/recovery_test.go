package interop_test

import (
	"context"
	"flag"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

var (
	recoveryTime    = flag.Duration("recovery", 5*time.Second, "how long TestRecoveryUnderLoad cuts its clients")
	recoveryClients = flag.Int("recovery.clients", 40, "how many clients TestRecoveryUnderLoad cuts")
	recoveryRate    = flag.Int("recovery.rate", 500, "how many messages each of them is sent in a second")
)

// Official clients are cut at random while messages are sent. They count: none is lost, none comes twice, none is out of
// order.
func TestRecoveryUnderLoad(t *testing.T) {
	t.Parallel()
	io := socketio.NewServer(&socketio.Options{
		Engine:   engineio.Options{PingInterval: 10 * time.Second, PingTimeout: 30 * time.Second, SendBuffer: 16 << 20, PollBuffer: 16 << 20},
		Recovery: &socketio.Recovery{},
		Logger:   slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	io.OnConnect(func(s *socketio.Socket) {
		if !s.Recovered() {
			_ = s.Join(context.Background(), "crowd")
		}
	})
	server := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		server.Close()
	})
	crowd := startPeer(t, "crowd.mjs")
	half := *recoveryClients / 2
	crowd.do("join", params{"url": server.URL, "count": half, "transports": []string{"websocket"}}, nil)
	crowd.do("join", params{"url": server.URL, "count": *recoveryClients - half, "transports": []string{"polling"}}, nil)

	cutting := crowd.begin("cut", params{"ms": recoveryTime.Milliseconds(), "every": 2000})
	last := publishWhile(t, io.To("crowd"), cutting)
	var got struct{ Clients, Behind, Lost, Twice, Reconnects, Recovered int }
	crowd.do("tally", params{"last": last, "ms": 30_000}, &got)
	t.Logf("%d messages to %d clients, which came back %d times", last+1, got.Clients, got.Reconnects)
	if got.Lost != 0 || got.Twice != 0 || got.Behind != 0 {
		t.Errorf("%d lost, %d twice, %d clients without the last", got.Lost, got.Twice, got.Behind)
	}
	if got.Reconnects == 0 || got.Recovered != got.Reconnects {
		t.Errorf("of %d clients that came back, %d were recovered", got.Reconnects, got.Recovered)
	}
}

// publishWhile publishes numbers until done says something, and returns the last.
func publishWhile[T any](t *testing.T, to socketio.Broadcast, done <-chan T) (last int) {
	t.Helper()
	tick := time.NewTicker(time.Second / time.Duration(*recoveryRate))
	defer tick.Stop()
	started := time.Now()
	for n := 0; ; {
		for due := int(time.Since(started).Seconds() * float64(*recoveryRate)); n <= due; n++ { // ticks may be late
			if err := to.Emit(t.Context(), "n", n, "some text to carry along"); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-tick.C:
		case <-done:
			return n - 1
		}
	}
}
