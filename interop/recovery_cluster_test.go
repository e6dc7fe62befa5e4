package interop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testredis"
)

// startSharing runs three nodes with recovery over Redis Streams behind a balancer that takes them in turn, and returns them
// and its URL.
func startSharing(t *testing.T) (nodes []*program, url string) {
	t.Helper()
	streams := strings.Replace(testredis.Start(t).URL(), "redis://", "redis+streams://", 1)
	for range 3 {
		nodes = append(nodes, startPeal(t, streams, "--recovery", "1m"))
	}
	url, _ = balancers[0].start(t, unequally, nodes...)
	return nodes, url
}

// Official clients are cut at random and come back to any node. They count: of what a recovered one is given, and of what
// comes to those that are new, nothing is missing, comes twice, or out of order.
func TestRecoveryOnEveryNodeUnderLoad(t *testing.T) {
	t.Parallel()
	nodes, url := startSharing(t)
	crowd := startPeer(t, "crowd.mjs")
	for _, transport := range []string{"websocket", "polling"} {
		// A node that is busy needs a moment to see that a client has left, before which it is not known elsewhere.
		crowd.do("join", params{"url": url, "count": *recoveryClients / 2, "transports": []string{transport}, "reconnectionDelay": 300, "room": "crowd"}, nil)
	}
	cutting := crowd.begin("cut", params{"ms": recoveryTime.Milliseconds(), "every": 2000})
	n := 0
	for done := false; !done; n++ {
		post(t, nodes[n%3].url()+"/v1/publish", fmt.Sprintf(`{"rooms":["crowd"],"event":"n","args":[%d,"some text"]}`, n))
		select {
		case <-cutting:
			done = true
		default:
		}
	}
	// Those that are new hear again from here on.
	var got struct{ Clients, Behind, Lost, Twice, Reconnects, Recovered int }
	for deadline := time.Now().Add(patience); ; n++ {
		post(t, nodes[n%3].url()+"/v1/publish", fmt.Sprintf(`{"rooms":["crowd"],"event":"n","args":[%d,"some text"]}`, n))
		crowd.do("tally", params{"last": n, "ms": 1000}, &got)
		if got.Behind == 0 || time.Now().After(deadline) {
			break
		}
	}
	t.Logf("%d messages to %d clients, which came back %d times and were recovered %d times", n, got.Clients, got.Reconnects, got.Recovered)
	if got.Lost != 0 || got.Twice != 0 || got.Behind != 0 {
		t.Errorf("%d lost, %d twice, %d clients without the last", got.Lost, got.Twice, got.Behind)
	}
	if got.Recovered == 0 {
		t.Error("nobody was recovered")
	}
}

// An event stream goes on where it was at whichever node its EventSource comes to.
func TestStreamsGoOnAtEveryNode(t *testing.T) {
	t.Parallel()
	nodes, url := startSharing(t)
	clients := startPeer(t, "client.mjs")
	clients.do("open", params{"client": "s", "url": url + "/v1/events?room=news", "events": []string{"n", "peal:reset"}}, nil)
	sent := 0
	publish := func() {
		t.Helper()
		post(t, nodes[sent%3].url()+"/v1/publish", fmt.Sprintf(`{"rooms":["news"],"event":"n","args":[%d]}`, sent))
		sent++
	}
	publish()
	clients.awaitEvents("s", "n", 1)
	for round := range 3 {
		for _, node := range nodes {
			for _, id := range streamsIn(t, node, "news") {
				post(t, node.url()+"/v1/disconnect", fmt.Sprintf(`{"member":%q}`, id))
			}
		}
		clients.awaitState("s", "error", round+1)
		for range 5 {
			publish()
		}
		clients.awaitState("s", "open", round+2)
		publish()
		for i, r := range clients.awaitEvents("s", "n", sent) {
			if want := fmt.Sprintf("[%d]", i); r.Data != want {
				t.Fatalf("event %d has the data %s", i, r.Data)
			}
		}
	}
	if resets := clients.events("s", "peal:reset"); len(resets) > 0 {
		t.Errorf("it was told %d times that something is missing", len(resets))
	}
}
