package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/peal-dev/peal/gateway"
)

// Topics want the key, as publishing does; a node that keeps none says so.
func TestTopicsWantTheKey(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: key, AnonymousPublish: true, AnonymousSubscribe: true, Data: t.TempDir()})
	without := startNode(t, gateway.Config{APIKey: key})
	for _, r := range []struct{ method, path string }{
		{"PUT", "/v1/stream/a"}, {"POST", "/v1/stream/a"}, {"GET", "/v1/stream/a?offset=-1&live=sse"}, {"HEAD", "/v1/stream/a"}, {"DELETE", "/v1/stream/a"}, {"GET", "/v1/topics"},
	} {
		if res, body := n.do(r.method, r.path, "x"); res.StatusCode != 401 {
			t.Errorf("%v without a key: %d %s", r, res.StatusCode, body)
		}
		if res, body := n.do(r.method, r.path, "x", "Authorization", "Bearer wrong"); res.StatusCode != 401 {
			t.Errorf("%v with a wrong key: %d %s", r, res.StatusCode, body)
		}
		if res, body := without.do(r.method, r.path, "x", bearer...); res.StatusCode != 501 || r.method != "HEAD" && !strings.Contains(body, gateway.CodeTopicsOff) {
			t.Errorf("%v of a node without topics: %d %s", r, res.StatusCode, body)
		}
	}
	if res, body := n.do("PUT", "/v1/stream/a", "x", bearer...); res.StatusCode != 201 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if _, body := n.do("GET", "/v1/topics", "", bearer...); !strings.Contains(body, `"name":"a"`) || !strings.Contains(body, `"items":1`) {
		t.Errorf("listed: %s", body)
	}
	if _, body := n.do("GET", "/metrics", "", bearer...); !strings.Contains(body, "\npeal_topics 1\n") || !strings.Contains(body, "\npeal_topic_store_bytes ") {
		t.Error("there are no metrics of topics")
	}
}

// In --dev there are topics to try, in memory. Who waits for one is answered when the node goes, and pages of other origins
// are kept out.
func TestTopicsInDev(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, AllowOrigins: []string{"https://app.example"}})
	if res, body := n.do("PUT", "/v1/stream/a", `[1]`, "Content-Type", "application/json"); res.StatusCode != 201 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if res, body := n.do("GET", "/v1/stream/a", "", "Origin", "https://other.example"); res.StatusCode != 403 {
		t.Errorf("a page of another origin: %d %s", res.StatusCode, body)
	}
	res, body := n.do("GET", "/v1/stream/a", "", "Origin", "https://app.example")
	if body != "[1]" || res.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Stream-Next-Offset") {
		t.Errorf("an allowed page: %d %s %v", res.StatusCode, body, res.Header)
	}
	if res, _ := n.do("OPTIONS", "/v1/stream/a", "", "Origin", "https://app.example", "Access-Control-Request-Method", "PUT"); res.Header.Get("Access-Control-Allow-Methods") != "PUT" {
		t.Errorf("a page that asks before: %v", res.Header)
	}
	answered := make(chan int, 1)
	go func() {
		res, _ := n.do("GET", "/v1/stream/a?offset=now&live=long-poll", "")
		answered <- res.StatusCode
	}()
	for waits := ""; !strings.Contains(waits, "\npeal_topic_readers 1\n"); {
		_, waits = n.do("GET", "/metrics", "")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != 204 {
		t.Errorf("who waited was answered %d", status)
	}
}

func TestTopicsOfACluster(t *testing.T) {
	t.Parallel()
	err := (&gateway.Config{Dev: true, Data: t.TempDir(), Cluster: "redis://127.0.0.1:1"}).Validate()
	if err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("topics of one node in a cluster: %v", err)
	}
}
