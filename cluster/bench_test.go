package cluster_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/testcerts"
	"github.com/peal-dev/peal/internal/testredis"
)

// BenchmarkForward passes on a POST and a poll for each of many sessions at a time, between nodes that speak HTTP/1.1, the
// same over TLS, and HTTP/2 over TLS. An op is both requests, without those of the client.
func BenchmarkForward(b *testing.B) {
	for _, inFlight := range []int{16, 200} {
		for _, speaks := range []string{"http1", "http1+tls", "http2+tls"} {
			b.Run(fmt.Sprintf("%s/%d", speaks, inFlight), func(b *testing.B) { benchmarkForward(b, speaks, inFlight) })
		}
	}
}

func benchmarkForward(b *testing.B, speaks string, inFlight int) {
	redis := testredis.Start(b).URL()
	const beat = 5 * time.Second // a busy machine hears of nobody for a while
	quiet := engineio.Options{Logger: slog.New(slog.DiscardHandler)}
	var owner, other *member
	server, client := mutual(testcerts.New(b))
	if speaks == "http1" {
		owner, other = join(b, redis, cluster.Options{Heartbeat: beat}, quiet), join(b, redis, cluster.Options{Heartbeat: beat}, quiet)
	} else {
		if speaks == "http1+tls" {
			server.NextProtos = []string{"http/1.1"}
		}
		s := joinSecured(b, redis, server, client, beat)
		owner, other = s.member, join(b, redis, cluster.Options{TLS: client, Heartbeat: beat}, quiet)
		defer func() { b.ReportMetric(float64(s.connections()), "conns") }()
	}
	do := func(method, sid, body string) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(b.Context(), method, "/engine.io/?EIO=4&transport=polling&sid="+sid, strings.NewReader(body))
		if body == "" {
			r.Body = http.NoBody
		}
		other.engine.ServeHTTP(w, r)
		return w.Body.String()
	}
	sids := make(chan string, inFlight)
	for range inFlight {
		sids <- owner.open()
	}
	do("POST", <-sids, "4x") // the first has heard of the node, and made a connection
	sids <- owner.open()
	message := "4" + strings.Repeat("x", 200)
	b.SetParallelism(inFlight / 2) // for each of two cores
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		sid := <-sids
		for pb.Next() {
			if answer := do("POST", sid, message); answer != "ok" {
				b.Errorf("a POST was answered %q", answer)
				return
			}
			if answer := do("GET", sid, ""); answer != message {
				b.Errorf("a poll was answered %.20q", answer)
				return
			}
		}
	})
}
