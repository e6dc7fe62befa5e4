package gateway_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/testredis"
)

// TestReadyOnASlowNetwork has every hop to Redis take so long that a probe, which has several, takes over a second.
func TestReadyOnASlowNetwork(t *testing.T) {
	t.Parallel()
	proxy := faultproxy.Start(t, testredis.Start(t).Addr())
	n := startNode(t, gateway.Config{Dev: true, Cluster: "redis://" + proxy.Addr()})
	n.waitReady(200)
	proxy.Delay(600 * time.Millisecond)
	for range 4 {
		if res, body := n.do("GET", "/readyz", ""); res.StatusCode != 200 {
			t.Errorf("readyz: %d %s", res.StatusCode, body)
		}
	}
	n.publish(`{"event":"slow"}`)
}

// TestUnready goes through outages in which a node must not say that it is ready, and wants it to be ready after each.
func TestUnready(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		begin, end   func(*testredis.Server, *faultproxy.Proxy)
		reason       string
		publishFails bool
	}{
		{"Redis is stopped", func(r *testredis.Server, _ *faultproxy.Proxy) { r.Pause() },
			func(r *testredis.Server, _ *faultproxy.Proxy) { r.Resume() }, "unavailable|came back", true},
		{"the network is silent", func(_ *testredis.Server, p *faultproxy.Proxy) { p.Hold() },
			func(_ *testredis.Server, p *faultproxy.Proxy) { p.Release() }, "unavailable|came back", true},
		{"the connection that receives is away", func(r *testredis.Server, p *faultproxy.Proxy) {
			p.Refuse()
			r.Do("CLIENT", "KILL", "TYPE", "pubsub")
		}, func(_ *testredis.Server, p *faultproxy.Proxy) { p.Admit() }, "not subscribed", true},
		{"messages are refused", func(r *testredis.Server, _ *faultproxy.Proxy) {
			r.Do("ACL", "SETUSER", "default", "resetchannels", "&socket.io-*", "&socket.io#/#")
		}, func(r *testredis.Server, _ *faultproxy.Proxy) { r.Do("ACL", "SETUSER", "default", "allchannels") }, "NOPERM", false},
		{"publishing is refused", func(r *testredis.Server, _ *faultproxy.Proxy) {
			r.Do("ACL", "SETUSER", "default", "-publish")
		}, func(r *testredis.Server, _ *faultproxy.Proxy) { r.Do("ACL", "SETUSER", "default", "+publish") }, "NOPERM", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			redis := testredis.Start(t)
			proxy := faultproxy.Start(t, redis.Addr())
			n := startNode(t, gateway.Config{Dev: true, Cluster: "redis://" + proxy.Addr()})
			n.waitReady(200)
			tt.begin(redis, proxy)
			if body := n.waitReady(503); !regexp.MustCompile(tt.reason).MatchString(body) {
				t.Errorf("readyz gives as reason %s, want %q in it", body, tt.reason)
			}
			if tt.publishFails {
				if res, body := n.do("POST", "/v1/publish", `{"event":"x"}`); res.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("publish: %d %s", res.StatusCode, body)
				}
			}
			tt.end(redis, proxy)
			n.waitReady(200)
			n.publish(`{"event":"back"}`)
		})
	}
}
