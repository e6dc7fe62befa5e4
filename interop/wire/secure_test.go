package wire_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// access is how a node gets to a Redis.
type access struct {
	url, user, password string
	tls                 *tls.Config
	timeout             time.Duration
}

// redis is one driver over Redis. The rules are what a user needs for the namespace "/" and the usual names, by the categories
// of Redis' access control list.
type redis struct {
	name, rules   string
	open, outside func(access) (adapter.Driver, error)
}

var quiet = slog.New(slog.DiscardHandler)

// made makes an interface of what a constructor returns.
func made[D adapter.Driver](d D, err error) (adapter.Driver, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

var drivers = []redis{
	{"redispubsub", "&socket.io* &socket.io#/#* +@pubsub +@connection",
		func(a access) (adapter.Driver, error) {
			return made(redispubsub.New(redispubsub.Options{URL: a.url, Username: a.user, Password: a.password, TLS: a.tls, Timeout: a.timeout, Logger: quiet}))
		},
		func(a access) (adapter.Driver, error) {
			return made(redispubsub.NewEmitter(redispubsub.Options{URL: a.url, Username: a.user, Password: a.password, TLS: a.tls, Timeout: a.timeout, Logger: quiet}))
		}},
	{"redissharded", "&socket.io#* +@pubsub +@connection",
		func(a access) (adapter.Driver, error) {
			return made(redissharded.New(redissharded.Options{URL: a.url, Username: a.user, Password: a.password, TLS: a.tls, Timeout: a.timeout, Logger: quiet}))
		},
		func(a access) (adapter.Driver, error) {
			return made(redissharded.NewEmitter(redissharded.Options{URL: a.url, Username: a.user, Password: a.password, TLS: a.tls, Timeout: a.timeout, Logger: quiet}))
		}},
	{"redisstreams", "~socket.io &socket.io#* +@pubsub +@connection +xadd +xread +xinfo",
		func(a access) (adapter.Driver, error) {
			return made(redisstreams.New(redisstreams.Options{URL: a.url, Username: a.user, Password: a.password, TLS: a.tls, Timeout: a.timeout, Logger: quiet}))
		},
		func(a access) (adapter.Driver, error) {
			return made(redisstreams.NewEmitter(redisstreams.Options{URL: a.url, Username: a.user, Password: a.password, TLS: a.tls, Timeout: a.timeout, Logger: quiet}))
		}},
}

// TestRedis takes each driver over Redis to a server that speaks TLS only to those it knows by a certificate, and to a user who
// may do just what is needed; to a Redis Cluster like that; and to a primary that Sentinels name.
func TestRedis(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		secure := func(s *testredis.Secure) access {
			return access{url: s.URL(), user: testredis.User, password: testredis.Password, tls: s.TLS}
		}
		for name, start := range map[string]func(t *testing.T) (access, []*testredis.Server){
			"TLS and user": func(t *testing.T) (access, []*testredis.Server) {
				s := testredis.StartSecure(t, d.rules)
				return secure(s), s.Servers()
			},
			"TLS and user of a cluster": func(t *testing.T) (access, []*testredis.Server) {
				s := testredis.StartSecureCluster(t, d.rules+" +cluster|slots")
				return secure(s), s.Servers()
			},
			"Sentinel": func(t *testing.T) (access, []*testredis.Server) {
				return access{url: testredis.StartSentinel(t).URL()}, nil
			},
		} {
			t.Run(d.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				a, servers := start(t)
				meet(t, &d, a)
				for _, s := range servers {
					if clients := s.Do("CLIENT", "LIST"); strings.Count(clients, "name=peal") != strings.Count(clients, "user="+testredis.User) {
						t.Errorf("nodes are connected as somebody else:\n%s", clients)
					}
				}
			})
		}
		t.Run(d.name+"/not let in", func(t *testing.T) {
			t.Parallel()
			s := testredis.StartSecure(t, d.rules)
			good := secure(s)
			for name, change := range map[string]func(*access){
				"unknown authority": func(a *access) { a.tls = nil },
				"no certificate":    func(a *access) { a.tls = &tls.Config{RootCAs: s.TLS.RootCAs} },
				"wrong password":    func(a *access) { a.password = "x" },
			} {
				a := good
				a.timeout = time.Second
				change(&a)
				driver, err := d.open(a)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := adapter.New(t.Context(), "/", driver, nil); !errors.Is(err, adapter.ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
				if err := driver.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// meet has two nodes, and an emitter, reach each other.
func meet(t *testing.T, d *redis, a access) {
	t.Helper()
	join := func(open func(access) (adapter.Driver, error), id string) (*adapter.Adapter, *adaptertest.Member) {
		driver, err := open(a)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := driver.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		node, err := adapter.New(t.Context(), "/", driver, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := adaptertest.NewMember(id)
		if _, err := node.Add(t.Context(), m, "room"); err != nil {
			t.Fatal(err)
		}
		return node, m
	}
	near, _ := join(d.open, "near")
	far, m := join(d.open, "far")
	outside, _ := join(d.outside, "outside")
	for i, from := range []*adapter.Adapter{near, outside} {
		event := fmt.Sprint("event", i)
		if err := from.Broadcast(t.Context(), message.New(fmt.Appendf(nil, "[%q]", event)), message.Target{Rooms: []string{"room"}}); err != nil {
			t.Error(err)
		}
		if got := m.Next(t).Event(); got != event {
			t.Errorf("heard %q, want %q", got, event)
		}
	}
	if n, err := near.Nodes(t.Context()); err != nil || n != 2 {
		t.Errorf("%d nodes, %v", n, err)
	}
	if err := far.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
