package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// startTopics runs `peal serve` with topics in a directory.
func startTopics(t *testing.T, dir string, flags ...string) *program {
	t.Helper()
	return start(t, built(t, pealBinary), append([]string{"serve", "--dev", "--listen", "127.0.0.1:0", "--data", dir}, flags...)...)
}

// What the public conformance suite of the Durable Streams protocol has, but subscriptions, which are an option of its own.
// The version is that of package.json; a suite with fewer tests than that has is not the suite.
func TestDurableStreams(t *testing.T) {
	t.Parallel()
	requireNode(t)
	const tests, subscriptions = 338, 6
	p := startTopics(t, t.TempDir(), "--allow-origin", "*") // it asks as a page of another origin
	report := filepath.Join(t.TempDir(), "report.json")
	// Long-polls wait for 20 s, which is longer than vitest would; they wait at once.
	cmd := exec.CommandContext(t.Context(), "node", "node_modules/vitest/vitest.mjs", "run", "--testTimeout=60000", "--sequence.concurrent",
		"--reporter=json", "--outputFile="+report, "node/durable-streams.test.js")
	cmd.Env = append(os.Environ(), "PEAL_STREAMS_URL="+p.url())
	output, failure := cmd.CombinedOutput()
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("the suite did not run: %v, %v\n%s", failure, err, output)
	}
	var result struct {
		NumPassedTests, NumFailedTests, NumPendingTests int
		TestResults                                     []struct {
			AssertionResults []struct {
				FullName, Status string
				FailureMessages  []string
			}
		}
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	for _, file := range result.TestResults {
		for _, a := range file.AssertionResults {
			if a.Status != "passed" && !strings.HasPrefix(a.FullName, "Reserved subscription APIs ") {
				t.Errorf("%s: %s %v", a.FullName, a.Status, a.FailureMessages)
			}
		}
	}
	if failure != nil || result.NumPassedTests != tests-subscriptions || result.NumPendingTests != subscriptions || result.NumFailedTests != 0 {
		t.Errorf("%d passed, %d failed, %d were left out: %v\n%s", result.NumPassedTests, result.NumFailedTests, result.NumPendingTests, failure, output)
	}
}

// lives is a node that is killed and started again.
type lives struct {
	mu    sync.Mutex
	url   string
	next  chan struct{} // closed when there is another one
	taken atomic.Int64  // appends that were acknowledged
}

func (l *lives) node() (url string, next <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.url, l.next
}

func (l *lives) set(url string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.next)
	l.url, l.next = url, make(chan struct{})
}

// do sends a request until a node answers it: one that dies before that is waited for.
func (l *lives) do(ctx context.Context, method, query, body string, header map[string]string) (*http.Response, string, error) {
	for {
		url, next := l.node()
		r, err := http.NewRequestWithContext(ctx, method, url+"/v1/stream/numbers"+query, strings.NewReader(body))
		if err != nil {
			return nil, "", err
		}
		r.Header.Set("Content-Type", "application/json")
		for name, value := range header {
			r.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			var text []byte
			text, err = io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err == nil {
				return res, string(text), nil
			}
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, "", errors.Join(err, ctx.Err())
		}
	}
}

// number is what a producer appends.
type number struct{ Producer, N int }

// produce appends numbers, each until it is acknowledged, until stop is closed, and then says how many there are.
func (l *lives) produce(ctx context.Context, producer int, stop <-chan struct{}) (int, error) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return n, nil
		default:
		}
		res, text, err := l.do(ctx, "POST", "", fmt.Sprintf(`{"Producer":%d,"N":%d}`, producer, n),
			map[string]string{"Producer-Id": fmt.Sprint(producer), "Producer-Epoch": "0", "Producer-Seq": fmt.Sprint(n)})
		if err != nil {
			return n, err
		}
		if res.StatusCode != 200 && res.StatusCode != 204 {
			return n, fmt.Errorf("number %d of %d: %d %s", n, producer, res.StatusCode, text)
		}
		l.taken.Add(1)
	}
}

// follow reads by long-polling from the beginning until the topic is closed.
func (l *lives) follow(ctx context.Context) (all []number, err error) {
	offset := "-1"
	for {
		res, text, err := l.do(ctx, "GET", "?live=long-poll&offset="+offset, "", nil)
		if err != nil {
			return all, err
		}
		if res.StatusCode != 200 && res.StatusCode != 204 {
			return all, fmt.Errorf("behind %s: %d %s", offset, res.StatusCode, text)
		}
		if res.StatusCode == 200 {
			var some []number
			if err := json.Unmarshal([]byte(text), &some); err != nil {
				return all, err
			}
			all = append(all, some...)
		}
		offset = res.Header.Get("Stream-Next-Offset")
		if res.Header.Get("Stream-Closed") == "true" {
			return all, nil
		}
	}
}

// A node that is killed in the middle of appends has all it has acknowledged, once and in order, and who follows a topic goes
// on where it was.
func TestTopicsSurviveKill(t *testing.T) {
	t.Parallel()
	const kills, producers, followers = 10, 4, 2
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	p := startTopics(t, dir)
	l := &lives{url: p.url(), next: make(chan struct{})}
	if res, text, err := l.do(ctx, "PUT", "", "", nil); err != nil || res.StatusCode != 201 {
		t.Fatal(res, text, err)
	}
	var (
		writing, reading sync.WaitGroup
		stop             = make(chan struct{})
		counts           [producers]int
		heard            [followers][]number
	)
	for i := range producers {
		writing.Go(func() {
			var err error
			if counts[i], err = l.produce(ctx, i, stop); err != nil {
				t.Errorf("producer %d: %v", i, err)
				cancel()
			}
		})
	}
	for i := range followers {
		reading.Go(func() {
			var err error
			if heard[i], err = l.follow(ctx); err != nil {
				t.Errorf("follower %d: %v", i, err)
				cancel()
			}
		})
	}
	for range kills {
		for enough := l.taken.Load() + 50; l.taken.Load() < enough && ctx.Err() == nil; {
			p.get(t, "/healthz") // the node works meanwhile
		}
		p.kill(t)
		p = startTopics(t, dir)
		l.set(p.url())
	}
	close(stop)
	writing.Wait()
	if res, text, err := l.do(ctx, "POST", "", "", map[string]string{"Stream-Closed": "true"}); err != nil || res.StatusCode != 204 {
		t.Fatal(res, text, err)
	}
	reading.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	for i, all := range heard {
		var next [producers]int
		for _, n := range all {
			if n.N != next[n.Producer] {
				t.Fatalf("follower %d got number %d of producer %d, and not %d", i, n.N, n.Producer, next[n.Producer])
			}
			next[n.Producer]++
		}
		if next != counts {
			t.Errorf("follower %d got %v, acknowledged were %v", i, next, counts)
		}
	}
	t.Logf("%d numbers over %d kills", total, kills)
}
