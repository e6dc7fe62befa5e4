package interop_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var pollingRequests = flag.Int("requests", 1500, "how many requests the clients of TestPollingOnly make, at least")

// TestPollingOnly has official clients that can do nothing but poll talk to each other through nginx, which takes three nodes in
// turn for every single request. It notes each of them: all are answered with 200, and nothing that was said is missing.
func TestPollingOnly(t *testing.T) {
	t.Parallel()
	const clients, atOnce = 30, 5
	b := startBalanced(t, balancers[0], equally)
	names := b.connect(clients, func(int) params { return params{"options": params{"transports": []string{"polling"}}} })
	room := func(client int) string { return fmt.Sprint("of ", client%clients) }
	for i, name := range names {
		b.subscribe(name, room(i))
	}
	said := 0
	for deadline := time.Now().Add(5 * time.Minute); b.requests().all < *pollingRequests; said += atOnce {
		var saying []<-chan reply
		for i, name := range names {
			saying = append(saying, b.clients.begin("publish", params{"client": name, "inTurn": true, "from": said, "count": atOnce, "timeout": patience.Milliseconds(),
				"publication": publication{Event: "said", Rooms: []string{room(i + 1)}}}))
		}
		for i, answer := range saying {
			if r := b.clients.finish("publish", answer); r.Error != "" {
				t.Fatalf("%s: %s", names[i], r.Error)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d requests were made", b.requests().all)
		}
	}
	for _, name := range names {
		requireNumbered(t, "what was said to "+name, b.clients.awaitEvents(name, "said", said), said)
	}
	for _, r := range b.clients.of(func(r report) bool { return r.State != "" && r.State != "connect" }) {
		t.Errorf("%s: %s %s", r.Client, r.State, r.Detail)
	}
	made := b.requests() // now, as polls that wait are given up when the clients end
	t.Logf("%d requests, by node %v; %d messages; %v requests passed on", made.all, made.byNode, said*clients, b.metric("peal_cluster_forwarded_total"))
	for _, line := range made.bad {
		t.Errorf("a request was answered %s", line)
	}
	if len(made.byNode) != len(b.nodes) {
		t.Errorf("requests went to %d nodes: %v", len(made.byNode), made.byNode)
	}
}

// requests are those that nginx has answered.
type requests struct {
	all    int
	byNode map[string]int
	bad    []string // those that were not answered with 200
}

func (b *balanced) requests() requests {
	b.t.Helper()
	file, err := os.Open(filepath.Join(b.dir, "requests"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer file.Close()
	made := requests{byNode: map[string]int{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		status, rest, _ := strings.Cut(lines.Text(), " ")
		node, _, _ := strings.Cut(rest, " ")
		made.all++
		made.byNode[node]++
		if status != "200" {
			made.bad = append(made.bad, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		b.t.Fatal(err)
	}
	return made
}
