package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/internal/testredis"
)

// TestDrain takes a node out of service over some time: it is unready and takes no new clients at once, serves those there are
// meanwhile and sends them away one after another, and ends when the last has gone.
func TestDrain(t *testing.T) {
	t.Parallel()
	const over = 2 * time.Second
	n := startNode(t, gateway.Config{Dev: true, Drain: over})
	var streams []func() error // each waits for the end
	for range 4 {
		s := n.stream("?room=a")
		streams = append(streams, func() error {
			for {
				if _, err := s.Next(); err != nil {
					return err
				}
			}
		})
	}
	for range 4 {
		n.connect("/", "")
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), over+patience)
		defer cancel()
		done <- n.Shutdown(ctx)
	}()
	n.waitReady(503)
	if res, body := n.do("GET", "/v1/events?room=a", ""); res.StatusCode != 503 {
		t.Errorf("a new stream: %d %s", res.StatusCode, body)
	}
	if res, body := n.do("GET", "/socket.io/?EIO=4&transport=polling", ""); res.StatusCode != 503 {
		t.Errorf("a new session: %d %s", res.StatusCode, body)
	}
	n.publish(`{"rooms":["a"],"event":"while it drains"}`)
	first := time.Duration(0)
	ends := make(chan error, len(streams))
	for _, wait := range streams {
		go func() { ends <- wait() }()
	}
	for range streams {
		if err := <-ends; err != io.EOF {
			t.Errorf("a stream ended with %v", err)
		}
		if first == 0 {
			first = time.Since(began)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	// Eight clients, one after another: the first in the first quarter, the last at the end.
	if first > over/2 {
		t.Errorf("the first stream ended after %v", first)
	}
	if took := time.Since(began); took < over*3/4 {
		t.Errorf("all were gone after %v", took)
	}
}

// TestDrainByAPI has an operator do it, who may say how long it is to take.
func TestDrainByAPI(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	urls, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- gateway.Run(ctx, gateway.Config{APIKey: "k", Listen: "127.0.0.1:0", Drain: time.Hour}, func(s *gateway.Server) { urls <- s.URL() })
	}()
	url := <-urls
	post := func(body, key string) int {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/drain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	for _, bad := range []string{`{"over":"x"}`, `{"over":"-1s"}`, `{"after":"1s"}`, `[`, `{"over":1}`} {
		if status := post(bad, "k"); status != http.StatusBadRequest {
			t.Errorf("%s was answered %d", bad, status)
		}
	}
	if status := post("", "no"); status != http.StatusUnauthorized {
		t.Errorf("without the key: %d", status)
	}
	if status := post(`{"over":"0.01s"}`, "k"); status != http.StatusAccepted {
		t.Errorf("answered %d", status)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestRebalance has a node that is joined by another send clients away until it has no more than its share, and no faster
// than it may.
func TestRebalance(t *testing.T) {
	t.Parallel()
	cfg := gateway.Config{Dev: true, Cluster: testredis.Start(t).URL(), Rebalance: 7}
	one := startNode(t, cfg)
	const clients = 40
	for range clients {
		one.stream("?room=a")
	}
	began := time.Now()
	startNode(t, cfg)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	// Of 40 its share is 20, of 33 16, of 26 13, and 19 are no more than 9, a twentieth and ten.
	for still := 0; still < 50; {
		away, err := strconv.Atoi(one.metric("peal_cluster_rebalanced_total"))
		if err != nil {
			t.Fatal(err)
		}
		if may := cfg.Rebalance * (1 + int(time.Since(began)/time.Second)); away > min(may, 21) {
			t.Fatalf("%d were sent away, of %d that might have been", away, may)
		}
		if away == 21 {
			still++
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d were sent away", away)
		}
	}
}
