package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBroadcastsCross(t *testing.T) {
	t.Parallel()
	for name, redisURL := range map[string]func() string{
		"with a Redis of its own": func() string { return "" },
		"with a given Redis":      func() string { return testredis.Start(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			output, printed := io.Pipe()
			ended := make(chan error, 1)
			runCtx, stop := context.WithCancel(ctx)
			go func() {
				err := run(runCtx, printed, redisURL(), "127.0.0.1:0", "127.0.0.1:0")
				printed.CloseWithError(io.EOF)
				ended <- err
			}()

			var urls []string
			shown := false
			lines := bufio.NewScanner(output)
			for !strings.HasPrefix(lines.Text(), "publish on another") && lines.Scan() {
				if m := regexp.MustCompile(`^node \d: (http://\S+)$`).FindStringSubmatch(lines.Text()); m != nil {
					urls = append(urls, m[1])
				}
				shown = shown || strings.HasSuffix(lines.Text(), `: said ["a broadcast crossed the cluster"]`)
			}
			if len(urls) != 2 || !shown {
				stop()
				t.Fatalf("printed the URLs %q, showed a broadcast: %v; ended with %v", urls, shown, <-ended)
			}

			for i, url := range urls {
				requireCrossing(ctx, t, url, urls[1-i])
			}
			stop()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
}

// requireCrossing publishes on one node and expects the message on the other.
func requireCrossing(ctx context.Context, t *testing.T, from, to string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	do := func(method, url string, body io.Reader) *http.Response {
		request, err := http.NewRequestWithContext(ctx, method, url, body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s", method, url, response.Status)
		}
		return response
	}
	stream := do(http.MethodGet, to+"/events", nil)
	do(http.MethodPost, from+"/say", strings.NewReader("žluťoučký 🐎"))
	event, err := sse.NewReader(stream.Body).Next()
	if err != nil {
		t.Fatal(err)
	}
	if event.Name != "said" || event.Data != `["žluťoučký 🐎"]` {
		t.Errorf("received %s %s", event.Name, event.Data)
	}
}
