package redislog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/redislog"
	"github.com/peal-dev/peal/internal/faultproxy"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/message"
)

func open(t *testing.T, opts redislog.Options) *redislog.Store {
	t.Helper()
	s, err := redislog.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func topicOf(t *testing.T, s *redislog.Store, name string) eventlog.Topic {
	t.Helper()
	topic, err := s.Topic(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

func batchOf(texts ...string) *eventlog.Batch {
	b := &eventlog.Batch{}
	for _, text := range texts {
		b.Items = append(b.Items, eventlog.Item{Data: []byte(text)})
	}
	return b
}

// until appends until it is taken, as with a key one may: what is not certain was kept or not.
func until(t *testing.T, topic eventlog.Topic, b *eventlog.Batch) eventlog.Appended {
	t.Helper()
	pause := service.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}
	for deadline := time.Now().Add(30 * time.Second); ; {
		a, err := topic.Append(t.Context(), b)
		if err == nil {
			return a
		}
		if !errors.Is(err, eventlog.ErrUncertain) && !errors.Is(err, eventlog.ErrStoreUnavailable) || time.Now().After(deadline) {
			t.Errorf("append %q: %v", b.Items[0].Data, err)
			return a
		}
		service.Pause(t.Context(), pause.Next())
	}
}

// TestFaults has writers append with keys, or as producers, while the server is killed and connections are cut: what was acknowledged
// is there, once and in the order of its writer, and somebody who follows gets all of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	server := testredis.StartDurable(t)
	proxy := faultproxy.Start(t, server.Addr())
	const writers, each = 6, 150
	last := make(chan error, 1)
	read := topicOf(t, open(t, redislog.Options{URL: server.URL()}), "t")
	go func() { last <- followed(t, read, writers*each) }()
	var all sync.WaitGroup
	acknowledged := make(chan struct{}, writers*each)
	for w := range writers {
		s := open(t, redislog.Options{URL: "redis://" + proxy.Addr(), Timeout: time.Second})
		topic := topicOf(t, s, "t")
		all.Go(func() {
			for i := range each {
				b := batchOf(fmt.Sprint(w, " ", i))
				if w%2 == 0 {
					b.Key = fmt.Sprint(w, "/", i)
				} else {
					b.Producer, b.Seq = fmt.Sprint(w), uint64(i)
				}
				until(t, topic, b)
				acknowledged <- struct{}{}
			}
		})
	}
	for n := range writers * each {
		<-acknowledged
		switch n % 60 {
		case 10, 25, 40:
			proxy.Cut()
		case 55:
			server.Stop()
			server.Restart()
		}
	}
	all.Wait()
	if err := <-last; err != nil {
		t.Error(err)
	}
}

// followed reads a topic until it has so many items, and compares.
func followed(t *testing.T, topic eventlog.Topic, count int) error {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cursor, next, prev := eventlog.Follow(topic, message.Offset{}), map[string]int{}, message.Offset{}
	for n := 0; n < count; {
		items, err := cursor.Next(ctx)
		if errors.Is(err, eventlog.ErrStoreUnavailable) {
			service.Pause(ctx, 10*time.Millisecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("after %d of %d items: %w", n, count, err)
		}
		for _, item := range items {
			w, text, _ := strings.Cut(string(item.Data), " ")
			if i, err := strconv.Atoi(text); err != nil || i != next[w] || n > 0 && item.Prev != prev {
				return fmt.Errorf("got %q behind %v, want number %d behind %v", item.Data, item.Prev, next[w], prev)
			}
			next[w]++
			prev = item.Offset
			n++
		}
	}
	return nil
}

// TestRefused has Redis refuse what is to be kept: that is said, nothing of it is there, and it passes without anything being opened
// again.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code       string
		begin, end []string
	}{
		"full":              {eventlog.CodeStoreFull, []string{"CONFIG", "SET", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0"}},
		"a replica":         {eventlog.CodeStoreUnavailable, []string{"REPLICAOF", "127.0.0.1", "1"}, []string{"REPLICAOF", "NO", "ONE"}},
		"ACL":               {eventlog.CodeStoreUnavailable, []string{"ACL", "SETUSER", "default", "-xadd"}, []string{"ACL", "SETUSER", "default", "+xadd"}},
		"ACL in the middle": {eventlog.CodeStoreUnavailable, []string{"ACL", "SETUSER", "default", "-hset"}, []string{"ACL", "SETUSER", "default", "+hset"}},
		"too few replicas": {eventlog.CodeStoreUnavailable, []string{"CONFIG", "SET", "min-replicas-to-write", "1"},
			[]string{"CONFIG", "SET", "min-replicas-to-write", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testredis.Start(t)
			topic := topicOf(t, open(t, redislog.Options{URL: server.URL()}), "t")
			a, err := topic.Append(t.Context(), batchOf("before"))
			if err != nil {
				t.Fatal(err)
			}
			server.Do(tt.begin...)
			if _, err := topic.Append(t.Context(), batchOf("x", "y")); eventlog.CodeOf(err) != tt.code {
				t.Errorf("refused with %q: %v", eventlog.CodeOf(err), err)
			}
			server.Do(tt.end...)
			if _, err := topic.Append(t.Context(), batchOf("after")); err != nil {
				t.Fatal(err)
			}
			items, err := topic.Read(t.Context(), a.Last, 10)
			if err != nil || len(items) != 1 || string(items[0].Data) != "after" || items[0].Prev != a.Last {
				t.Errorf("there is %+v, %v", items, err)
			}
		})
	}
}

// TestHalfAScript puts entries between those of a topic that no script has finished, as a server of version 7.0 does that is killed in
// the middle of a write to its append-only file and started twice: nobody reads them.
func TestHalfAScript(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	store := open(t, redislog.Options{URL: server.URL()})
	pass := store.OwnClock()
	topic := topicOf(t, store, "t")
	var all []string
	for i := range 12 {
		pass(10 * time.Millisecond)
		b := batchOf(fmt.Sprint(i), fmt.Sprint(i, "+"), fmt.Sprint(i, "++"))
		b.Items = b.Items[:1+i%3]
		if _, err := topic.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for _, item := range b.Items {
			all = append(all, string(item.Data))
		}
	}
	// Behind each entry that ends a batch comes the first half of what was to follow it.
	const script = `
		local all = redis.call('XRANGE', KEYS[1], '-', '+')
		redis.call('DEL', KEYS[1])
		local function half(behind)
			local ms = string.match(behind, '^(%d+)')
			for i = 0, 1 do redis.call('XADD', KEYS[1], string.format('%.0f-%d', ms + 1, i), 'b', (8 - i) .. ' 9 9 ' .. behind, 'd', 'half') end
		end
		half(ARGV[1])
		for _, e in ipairs(all) do
			redis.call('XADD', KEYS[1], e[1], unpack(e[2]))
			if string.match(e[2][2], '^0 ') and e[1] ~= all[#all][1] then half(e[1]) end
		end
		return redis.call('XLEN', KEYS[1])`
	b, err := topic.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := server.Do("EVAL", script, "1", "peal:log:{74}:items", b.Floor.String()); got != fmt.Sprint(len(all)+12*2) {
		t.Fatalf("there are %s entries", got)
	}
	for n := 1; n <= 40; n++ {
		var got []string
		after, prev := message.Offset{}, b.Floor
		for {
			items, err := topic.Read(t.Context(), after, n)
			if err != nil {
				t.Fatal(err)
			}
			if len(items) == 0 {
				break
			}
			for _, item := range items {
				if item.Prev != prev {
					t.Errorf("%q says that %v is before it, that is %v", item.Data, item.Prev, prev)
				}
				got, after, prev = append(got, string(item.Data)), item.Offset, item.Offset
			}
		}
		if !slices.Equal(got, all) {
			t.Fatalf("%d at once: got %q, want %q", n, got, all)
		}
	}
	if err := topic.Trim(t.Context(), b.Top); err != nil {
		t.Fatal(err)
	}
	if b, err = topic.Bounds(t.Context()); err != nil || b.Count != 0 || b.Bytes != 0 || b.Floor != b.Top {
		t.Errorf("bounds %+v, %v", b, err)
	}
	if left := server.Do("XLEN", "peal:log:{74}:items"); left != "0" {
		t.Errorf("%s entries are left", left)
	}
}

// TestFlushed empties the server: who has a topic in hand is told that it is deleted, and may make it anew.
func TestFlushed(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	s := open(t, redislog.Options{URL: server.URL()})
	topic := topicOf(t, s, "t")
	if _, err := topic.Append(t.Context(), batchOf("x")); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	b, err := topic.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { waits <- topic.Wait(t.Context(), b.Top) }()
	server.Do("FLUSHALL")
	if err := <-waits; !errors.Is(err, eventlog.ErrDeleted) {
		t.Errorf("a reader who waits: %v", err)
	}
	if _, err := topic.Append(t.Context(), batchOf("y")); !errors.Is(err, eventlog.ErrDeleted) {
		t.Errorf("append: %v", err)
	}
	if names, err := s.Topics(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("topics %q, %v", names, err)
	}
	if _, err := topicOf(t, s, "t").Append(t.Context(), batchOf("z")); err != nil {
		t.Error(err)
	}
}

// TestWithoutRedis: who asks is answered in time, and it is said what is wrong.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	s := open(t, redislog.Options{URL: server.URL(), Timeout: 300 * time.Millisecond})
	topic := topicOf(t, s, "t")
	server.Pause()
	defer server.Resume()
	began := time.Now()
	_, made := s.Topic(t.Context(), "u", nil)
	_, appended := topic.Append(t.Context(), batchOf("x"))
	_, read := topic.Read(t.Context(), message.Offset{}, 1)
	for what, err := range map[string]error{"topic": made, "append": appended, "read": read} {
		want := eventlog.CodeStoreUnavailable
		if what == "append" {
			want = eventlog.CodeStoreUncertain
		}
		if eventlog.CodeOf(err) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// commands are what package redislog says that a user needs.
const commands = "+eval +evalsha +xadd +xrange +xrevrange +xtrim +xdel +hset +hget +hmget +hdel +hexists +zadd +zscore +zcard +zrange " +
	"+zrangebyscore +zrem +sadd +srem +smembers +del +pexpire +time +spublish +ssubscribe +sunsubscribe +cluster|slots"

// TestRules: the rules that the documentation asks for are enough, on a server and in a cluster.
func TestRules(t *testing.T) {
	t.Parallel()
	one, cluster := testredis.Start(t), testredis.StartCluster(t)
	for name, servers := range map[string][]*testredis.Server{"one server": {one}, "a cluster": cluster.Servers()} {
		for _, s := range servers {
			s.Do(append([]string{"ACL", "SETUSER", testredis.User, "on", ">" + testredis.Password},
				strings.Fields("-@all +@connection ~peal:log:* &peal:log:* "+commands)...)...)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, redislog.Options{URL: servers[0].URL(), Username: testredis.User, Password: testredis.Password})
			topic := topicOf(t, s, "t")
			items := make(chan []eventlog.Item, 1)
			go func() {
				got, err := eventlog.Follow(topic, message.Offset{}).Next(t.Context())
				if err != nil {
					t.Error(err)
				}
				items <- got
			}()
			b := batchOf("x")
			b.Key, b.Producer = "k", "p"
			if _, err := topic.Append(t.Context(), b); err != nil {
				t.Error(err)
			}
			if got := <-items; len(got) != 1 {
				t.Errorf("got %+v", got)
			}
			if err := topic.Trim(t.Context(), message.Offset{Ms: 1}); err != nil {
				t.Error(err)
			}
			if names, err := s.Topics(t.Context()); err != nil || len(names) != 1 {
				t.Errorf("topics %q, %v", names, err)
			}
			if err := s.Delete(t.Context(), "t"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []redislog.Options{{}, {URL: "http://127.0.0.1"}, {URL: "redis://127.0.0.1", Prefix: "a{b}"}} {
		if s, err := redislog.New(o); err == nil {
			_ = s.Close()
			t.Errorf("%+v is taken", o)
		}
	}
}
