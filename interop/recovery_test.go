package interop_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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
	server := socketio.NewServer(&socketio.Options{
		Engine:   engineio.Options{PingInterval: 10 * time.Second, PingTimeout: 30 * time.Second, SendBuffer: 16 << 20, PollBuffer: 16 << 20},
		Recovery: &socketio.Recovery{},
		Logger:   slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	server.OnConnect(func(s *socketio.Socket) {
		if !s.Recovered() {
			_ = s.Join(context.Background(), "crowd")
		}
	})
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		web.Close()
	})
	crowd := startPeer(t, "crowd.mjs")
	half := *recoveryClients / 2
	crowd.do("join", params{"url": web.URL, "count": half, "transports": []string{"websocket"}}, nil)
	crowd.do("join", params{"url": web.URL, "count": *recoveryClients - half, "transports": []string{"polling"}}, nil)

	cutting := crowd.begin("cut", params{"ms": recoveryTime.Milliseconds(), "every": 2000})
	last := publishWhile(t, server.To("crowd"), cutting)
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

// A client and an event stream of `peal serve --recovery` lose their connections and nothing else.
func TestServeRecovers(t *testing.T) {
	t.Parallel()
	node := startNode(t, "--api-key", soakKey, "--anonymous-subscribe", "--recovery", "1m")
	clients := startPeer(t, "client.mjs")
	clients.do("connect", params{"client": "c", "url": node.url(), "options": params{"reconnectionDelay": 500}}, nil)
	clients.do("ask", params{"client": "c", "event": "subscribe", "args": []any{"news"}}, nil)
	clients.do("open", params{"client": "s", "url": node.url() + "/v1/events?room=news", "events": []string{"n"}}, nil)
	publish := func(n int) {
		t.Helper()
		post(t, node.url()+"/v1/publish", fmt.Sprintf(`{"rooms":["news"],"event":"n","args":[%d]}`, n))
	}
	publish(0)
	clients.awaitEvents("c", "n", 1)
	clients.awaitEvents("s", "n", 1)

	clients.do("drop", params{"client": "c"}, nil)
	clients.awaitState("c", "disconnect", 1)
	for _, id := range streamsIn(t, node, "news") {
		post(t, node.url()+"/v1/disconnect", fmt.Sprintf(`{"member":%q}`, id))
	}
	clients.awaitState("s", "error", 1)
	for n := 1; n < 5; n++ {
		publish(n)
	}
	clients.awaitState("c", "connect", 2)
	clients.awaitState("s", "open", 2)
	publish(5)
	for i, r := range clients.awaitEvents("c", "n", 6) {
		var args []any
		if err := json.Unmarshal(r.Args, &args); err != nil || len(args) != 2 || args[0] != float64(i) {
			t.Fatalf("the client's event %d has the arguments %s", i, r.Args)
		}
	}
	for i, r := range clients.awaitEvents("s", "n", 6) {
		if want := fmt.Sprintf("[%d]", i); r.Data != want {
			t.Fatalf("the stream's event %d has the data %s", i, r.Data)
		}
	}
}

// streamsIn returns the ids of the event streams in a room.
func streamsIn(t *testing.T, node *program, room string) (ids []string) {
	t.Helper()
	var list struct {
		Members []struct{ ID, Kind string }
	}
	if err := json.Unmarshal(ask(t, http.MethodGet, node.url()+"/v1/members?room="+room, ""), &list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Members {
		if m.Kind == "stream" {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func post(t *testing.T, url, body string) {
	t.Helper()
	ask(t, http.MethodPost, url, body)
}

// ask sends a request of a backend's and returns the answer.
func ask(t *testing.T, method, url, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+soakKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", url, res.Status, text, err)
	}
	return text
}
