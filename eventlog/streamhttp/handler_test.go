package streamhttp_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/filelog"
	"github.com/peal-dev/peal/eventlog/memlog"
	"github.com/peal-dev/peal/eventlog/streamhttp"
	"github.com/peal-dev/peal/message"
)

// What a stream is outlives the process: content type, time to live, end, producers, Stream-Seq, forks.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() eventlog.Store {
		store, err := filelog.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := open()
	s := serve(t, store, nil)
	s.want(201, "PUT", "a", "one", with(plain, "Stream-TTL", "3600")...)
	s.want(204, "POST", "a", "two", with(plain, "Stream-Seq", "b")...)
	s.want(200, "POST", "a", "three", with(plain, "Producer-Id", "p", "Producer-Epoch", "1", "Producer-Seq", "0")...)
	forked, _ := s.want(201, "PUT", "fork", "!", "Stream-Forked-From", prefix+"a")
	s.want(204, "POST", "a", "", "Stream-Closed", "true")
	s.want(204, "DELETE", "a", "")
	s.want(410, "GET", "a", "")
	s.want(201, "PUT", "b/c", `[1,2]`, asIs...)
	s.want(201, "PUT", "gone", "x", plain...)
	s.want(204, "DELETE", "gone", "")
	before, body := s.want(200, "GET", "fork", "")
	if body != "onetwothree!" || forked.Get("Stream-Next-Offset") != before.Get("Stream-Next-Offset") {
		t.Errorf("the fork has %q up to %v, made at %v", body, before, forked)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	store = open()
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s = serve(t, store, nil)
	if infos, err := s.List(t.Context(), "b/c", 10); err != nil || len(infos) != 1 || infos[0].Name != "fork" || infos[0].TTL != time.Hour || infos[0].Items != 1 {
		t.Errorf("listed: %+v, %v", infos, err)
	}
	s.want(410, "HEAD", "a", "")
	s.want(409, "PUT", "a", "", plain...)
	s.want(404, "GET", "gone", "")
	if after, body := s.want(200, "GET", "fork", ""); body != "onetwothree!" || after.Get("ETag") != before.Get("ETag") || after.Get("Content-Type") != "text/plain" {
		t.Errorf("the fork has %q, %v, before %v", body, after, before)
	}
	if h, _ := s.want(200, "HEAD", "fork", ""); h.Get("Stream-TTL") != "3600" {
		t.Errorf("the fork is %v", h)
	}
	if _, body := s.want(200, "GET", "b/c", ""); body != "[1,2]" {
		t.Errorf("b/c has %q", body)
	}
	s.want(204, "POST", "fork", "x", with(plain, "Stream-Seq", "a")...) // it has nothing of its source's numbers
	s.want(204, "DELETE", "fork", "")
	s.want(201, "PUT", "a", "", plain...)
	if names, err := store.Topics(t.Context()); err != nil || len(names) != 3 {
		t.Errorf("the store has %q, %v: want the catalog, a and b/c", names, err)
	}
}

// Stream-Seq is known again after a restart, and what was sent again is told from what comes too late.
func TestStreamSeqAfterRestart(t *testing.T) {
	t.Parallel()
	store := memlog.New()
	s := serve(t, store, nil)
	s.want(201, "PUT", "a", "", plain...)
	producer := func(seq string) []string {
		return with(plain, "Producer-Id", "p", "Producer-Epoch", "0", "Producer-Seq", seq)
	}
	s.want(200, "POST", "a", "1", with(producer("0"), "Stream-Seq", "k")...)
	s.want(204, "POST", "a", "2", with(plain, "Stream-Seq", "m")...)
	s = serve(t, store, nil)
	s.want(409, "POST", "a", "3", with(plain, "Stream-Seq", "m")...)
	s.want(409, "POST", "a", "3", with(producer("1"), "Stream-Seq", "l")...)
	s.want(204, "POST", "a", "1", with(producer("0"), "Stream-Seq", "k")...)
	s.want(200, "POST", "a", "3", with(producer("1"), "Stream-Seq", "n")...)
	if _, body := s.want(200, "GET", "a", ""); body != "123" {
		t.Errorf("there is %q", body)
	}
}

// Nodes that share a store agree: one of those who make a stream at once makes it, and all read the same.
func TestTwoHandlers(t *testing.T) {
	t.Parallel()
	store := memlog.New()
	nodes := []*side{serve(t, store, nil), serve(t, store, nil)}
	for i := range 50 {
		name := fmt.Sprintf("s%d", i)
		statuses := make([]int, 4)
		var all sync.WaitGroup
		for j := range statuses {
			all.Go(func() {
				res, _ := nodes[j%2].do("PUT", name, fmt.Sprintf("%d", j), plain...)
				statuses[j] = res.StatusCode
			})
		}
		all.Wait()
		made := 0
		for _, status := range statuses {
			if status == 201 {
				made++
			} else if status != 200 {
				t.Fatalf("%s: %v", name, statuses)
			}
		}
		_, one := nodes[0].want(200, "GET", name, "")
		if _, two := nodes[1].want(200, "GET", name, ""); made != 1 || one != two || len(one) != 1 {
			t.Fatalf("%s was made %d times: %q and %q", name, made, one, two)
		}
		nodes[i%2].want(204, "DELETE", name, "")
		nodes[1-i%2].want(404, "GET", name, "")
	}
	if names, err := store.Topics(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("the store has %q, %v", names, err)
	}
}

// The catalog takes as much as there are streams, and not as there ever were.
func TestCatalogIsTidy(t *testing.T) {
	t.Parallel()
	store := memlog.New()
	s, late := serve(t, store, nil), serve(t, store, nil)
	s.want(201, "PUT", "kept", "x", plain...)
	s.want(201, "PUT", "fork", "y", "Stream-Forked-From", prefix+"kept")
	late.want(200, "GET", "kept", "")
	for range 1200 {
		s.want(201, "PUT", "passing", "", plain...)
		s.want(204, "DELETE", "passing", "")
	}
	catalog, err := store.Topic(t.Context(), "__ds/catalog", nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := catalog.Bounds(t.Context()); err != nil || b.Count > 1200 {
		t.Errorf("the catalog has %d records, %v", b.Count, err)
	}
	for _, n := range []*side{s, late, serve(t, store, nil)} {
		if _, body := n.want(200, "GET", "fork", ""); body != "xy" {
			t.Errorf("the fork has %q", body)
		}
		n.want(404, "GET", "passing", "")
	}
	late.want(204, "DELETE", "kept", "")
	s.want(410, "GET", "kept", "")
	s.want(204, "DELETE", "fork", "")
	late.want(404, "GET", "kept", "")
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), &streamhttp.Options{MaxBody: 100, MaxTopics: 2, Policy: &eventlog.Policy{Count: 2}})
	s.want(201, "PUT", "a", "", plain...)
	s.want(201, "PUT", "j", "[1,2]", asIs...)
	first, _ := s.want(200, "GET", "j?offset=-1", "")
	s.want(204, "POST", "j", "3", asIs...)
	s.want(204, "POST", "j", "4", asIs...)
	s.want(204, "POST", "j", "5", asIs...)
	for _, bad := range []struct {
		method, path, body string
		header             []string
		status             int
		code               string
	}{
		{"GET", "", "", nil, 400, streamhttp.CodeInvalidRequest},
		{"GET", strings.Repeat("n", 256), "", nil, 400, streamhttp.CodeInvalidRequest},
		{"GET", "a%00b", "", nil, 400, streamhttp.CodeInvalidRequest},
		{"GET", "a%ff", "", nil, 400, streamhttp.CodeInvalidRequest},
		{"PUT", "__ds/subscriptions/x", "", nil, 501, streamhttp.CodeInvalidRequest},
		{"PATCH", "a", "", nil, 405, streamhttp.CodeMethodNotAllowed},
		{"GET", "none", "", nil, 404, streamhttp.CodeTopicNotFound},
		{"POST", "none", "x", plain, 404, streamhttp.CodeTopicNotFound},
		{"PUT", "a", "", asIs, 409, streamhttp.CodeTopicExists},
		{"PUT", "more", "", plain, 429, streamhttp.CodeTooManyTopics},
		{"PUT", "more", "", []string{"Content-Type", "nonsense"}, 400, streamhttp.CodeInvalidRequest},
		{"PUT", "more", "", []string{"Stream-Fork-Offset", "now"}, 400, streamhttp.CodeInvalidRequest},
		{"PUT", "more", "", []string{"Stream-TTL", "99999999999"}, 400, streamhttp.CodeInvalidRequest},
		{"POST", "a", strings.Repeat("x", 101), plain, 413, streamhttp.CodeBodyTooLarge},
		{"POST", "a", "", plain, 400, streamhttp.CodeInvalidRequest},
		{"POST", "a", "x", asIs, 409, streamhttp.CodeContentType},
		{"POST", "j", "{", asIs, 400, streamhttp.CodeInvalidJSON},
		{"POST", "j", "1 2", asIs, 400, streamhttp.CodeInvalidJSON},
		{"POST", "j", "[]", asIs, 400, streamhttp.CodeInvalidJSON},
		{"POST", "j", "[1,2,3]", asIs, 413, eventlog.CodeInvalidBatch},
		{"POST", "a", "x", with(plain, "Producer-Id", strings.Repeat("p", 256), "Producer-Epoch", "0", "Producer-Seq", "0"), 400, streamhttp.CodeInvalidRequest},
		{"POST", "a", "x", with(plain, "Producer-Id", "p", "Producer-Epoch", "9007199254740992", "Producer-Seq", "0"), 400, streamhttp.CodeInvalidRequest},
		{"GET", "a?offset=1-1", "", nil, 400, streamhttp.CodeInvalidOffset},
		{"GET", "a?offset=-1&live=websocket", "", nil, 400, streamhttp.CodeInvalidRequest},
		{"GET", "a?live=sse", "", nil, 400, streamhttp.CodeInvalidRequest},
		{"GET", "j?offset=" + first.Get("Stream-Next-Offset"), "", nil, 410, eventlog.CodeOffsetNotCovered},
		{"GET", "j?offset=9999999999999999_0000000000000000", "", nil, 410, eventlog.CodeOffsetNotCovered},
	} {
		res, body := s.do(bad.method, bad.path, bad.body, bad.header...)
		if res.StatusCode != bad.status || !strings.Contains(body, `{"error":{"code":"`+bad.code+`"`) || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s %q %v: %d %s, want %d %s", bad.method, bad.path, bad.body, bad.header, res.StatusCode, body, bad.status, bad.code)
		}
	}
	if _, body := s.want(200, "GET", "j", ""); body != "[4,5]" {
		t.Errorf("who begins gets %s", body)
	}
	if st := s.Stats(); st.Topics != 2 || st.Refused[streamhttp.CodeInvalidOffset] != 1 || st.Appends != 3 {
		t.Errorf("stats: %+v", st)
	}
}

// As many wait as may; they are counted, and answered when the handler ends.
func TestShutdownAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), &streamhttp.Options{MaxReaders: 2})
	s.want(201, "PUT", "a", "x", plain...)
	var waiting sync.WaitGroup
	for _, live := range []string{"long-poll", "sse"} {
		waiting.Go(func() {
			res, body := s.do("GET", "a?offset=now&live="+live, "")
			if live == "sse" && (res.StatusCode != 200 || !strings.Contains(body, `"upToDate":true`)) || live != "sse" && (res.StatusCode != 204 || res.Header.Get("Stream-Next-Offset") == "") {
				t.Errorf("%s: %d %q %v", live, res.StatusCode, body, res.Header)
			}
		})
	}
	for deadline := time.Now().Add(patience); s.Stats().Readers < 2; {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
		s.want(200, "HEAD", "a", "")
	}
	s.want(429, "GET", "a?offset=now&live=sse", "")
	s.want(200, "GET", "a?offset=-1&live=long-poll", "") // which has not to wait
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	s.want(503, "GET", "a", "")
	if n := s.Stats().Readers; n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// A body that does not come holds nobody up, and nothing of it is kept.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), &streamhttp.Options{BodyTimeout: 50 * time.Millisecond})
	s.want(201, "PUT", "a", "x", plain...)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "POST %sa HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhalf", prefix); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 12)
	if _, err := conn.Read(b); err != nil || string(b) != "HTTP/1.1 400" {
		t.Errorf("answered %q, %v", b, err)
	}
	if _, body := s.want(200, "GET", "a", ""); body != "x" {
		t.Errorf("there is %q", body)
	}
}

// What a Go program appends is read over HTTP, and the other way round; a follower gets both as they come.
func TestTopicOfAStream(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), nil)
	s.want(201, "PUT", "a", `{"n":0}`, asIs...)
	topic, err := s.Topic(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	follower := eventlog.Follow(topic, message.Offset{})
	for i := range 10 {
		items, err := follower.Next(ctx)
		if err != nil || len(items) != 1 || string(items[0].Data) != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("item %d: %v, %v", i, items, err)
		}
		next := fmt.Sprintf(`{"n":%d}`, i+1)
		if i%2 == 0 {
			s.want(http.StatusNoContent, "POST", "a", next, asIs...)
		} else if _, err := topic.Append(ctx, &eventlog.Batch{Items: []eventlog.Item{{Data: []byte(next)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, body := s.want(200, "GET", "a", ""); strings.Count(body, "n") != 11 {
		t.Errorf("there is %s", body)
	}
	if infos, err := s.List(ctx, "", 10); err != nil || len(infos) != 1 || infos[0].Items != 11 || infos[0].Closed {
		t.Errorf("listed: %+v, %v", infos, err)
	}
}
