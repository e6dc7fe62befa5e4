package redislog

import (
	"cmp"
	"context"
	_ "embed" // the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/internal/redisx"
)

// The scripts; what they share comes before each.
var (
	//go:embed prelude.lua
	prelude string
	//go:embed open.lua
	openText string
	//go:embed append.lua
	appendText string
	//go:embed read.lua
	readText string
	//go:embed bounds.lua
	boundsText string
	//go:embed trim.lua
	trimText string
	//go:embed delete.lua
	deleteText string

	openScript   = redisx.NewScript(prelude + openText)
	appendScript = redisx.NewScript(prelude + appendText)
	readScript   = redisx.NewScript(prelude + readText)
	boundsScript = redisx.NewScript(prelude + boundsText)
	trimScript   = redisx.NewScript(prelude + trimText)
	deleteScript = redisx.NewScript(prelude + deleteText)
)

// latestFor is how long it is known how far a deleted topic had come, which matters if the server's clock goes back.
const latestFor = time.Hour

// Store is an [eventlog.Store] in Redis. Create it with [New] and close it.
type Store struct {
	redis   *redisx.Shards
	prefix  string
	clock   func() string // the time in ms, or "" for the server's
	watch   watch
	closing sync.Once
	closed  chan struct{}
}

var _ eventlog.Store = (*Store)(nil)

// New returns a store. It starts to connect and does not wait for that: an error means that the options are wrong.
func New(opts Options) (*Store, error) {
	if strings.ContainsAny(opts.Prefix, "{}") {
		return nil, errBraces
	}
	redis, err := redisx.NewShards(opts.redis(), redisx.Shard, redisx.ShardHooks{
		State: func(bool, error) {}, Refused: func(redisx.Name, error) {}, Accepted: func(redisx.Name, time.Time) {}, Moved: func(string) {},
	}) // whoever waits looks again from time to time, whatever becomes of the connections
	if err != nil {
		return nil, fmt.Errorf("redislog: %w", err)
	}
	s := &Store{redis: redis, prefix: cmp.Or(opts.Prefix, DefaultPrefix), clock: func() string { return "" }, closed: make(chan struct{})}
	s.watch.listener = redis.Listen(s.watch.told)
	return s, nil
}

// names are the keys of a topic, in the order that the scripts have them; the last is its shard channel. What a topic is called may have any bytes,
// and decides about the slot alone.
func (s *Store) names(topic string) (keys []string) {
	base := s.prefix + ":{" + hex.EncodeToString([]byte(topic)) + "}:"
	for _, part := range []string{"topic", "items", "keys", "keytimes", "producers", "producertimes", "changed"} {
		keys = append(keys, base+part)
	}
	return keys
}

// all is the key of the set of all topics' names.
func (s *Store) all() string { return s.prefix + ":topics" }

// run runs a script on a topic.
func (s *Store) run(ctx context.Context, script *redisx.Script, keys []string, args ...string) (any, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	answer, err := s.redis.Run(ctx, script, keys, args)
	return answer, s.explain(err)
}

// usable returns why nothing can be asked for.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.closed:
		return eventlog.ErrStoreClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("redislog: %w", err)
	}
	return nil
}

// explain says what an error of Redis means for a store.
func (s *Store) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redisx.ErrClosed):
		return eventlog.ErrStoreClosed
	case redisx.IsAnswer(err) && strings.Contains(err.Error(), "OOM "):
		return fmt.Errorf("%w: %w", eventlog.ErrStoreFull, err)
	default:
		return fmt.Errorf("%w: %w", eventlog.ErrStoreUnavailable, err)
	}
}

// Topic implements [eventlog.Store].
func (s *Store) Topic(ctx context.Context, name string, p *eventlog.Policy) (eventlog.Topic, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := eventlog.CheckName("topic", name); err != nil {
		return nil, err
	}
	// First the name: a topic that is in the list and not there is left out, and one that is there and not in the list would be lost.
	if err := s.redis.AddMember(ctx, s.all(), name); err != nil {
		return nil, s.explain(err)
	}
	t := &topic{store: s, name: name}
	t.keys = s.names(name)
	w, set := p.WithDefaults(), "0"
	if p != nil {
		set = "1"
	}
	number := func(n int64) string { return strconv.FormatInt(max(n, 0), 10) }
	answer, err := s.run(ctx, openScript, t.keys, strconv.FormatUint(rand.Uint64(), 36), s.clock(), set, number(w.Age.Milliseconds()), number(int64(w.Count)), number(w.Bytes))
	if err != nil {
		return nil, fmt.Errorf("redislog: topic %q: %w", name, err)
	}
	var ok bool
	if t.life, ok = answer.(string); !ok {
		return nil, fmt.Errorf("redislog: topic %q: %w", name, errAnswer)
	}
	return t, nil
}

// Delete implements [eventlog.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	keys := s.names(name)
	if _, err := s.run(ctx, deleteScript, keys, "", s.clock(), strconv.FormatInt(latestFor.Milliseconds(), 10)); err != nil {
		return fmt.Errorf("redislog: delete %q: %w", name, err)
	}
	if err := s.redis.RemoveMember(ctx, s.all(), name); err != nil {
		return fmt.Errorf("redislog: delete %q: %w", name, s.explain(err))
	}
	return nil
}

// Topics implements [eventlog.Store].
func (s *Store) Topics(ctx context.Context) ([]string, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	names, err := s.redis.Members(ctx, s.all())
	if err != nil {
		return nil, s.explain(err)
	}
	slices.Sort(names)
	lives := make([]redisx.HashField, len(names))
	for i, name := range names {
		keys := s.names(name)
		lives[i] = redisx.HashField{Key: keys[0], Field: "life"}
	}
	s.redis.Look(ctx, lives)
	kept := names[:0]
	for i, name := range names {
		if err := lives[i].Err; err != nil {
			return nil, s.explain(err)
		}
		if lives[i].There {
			kept = append(kept, name)
		}
	}
	return kept, nil
}

// Close implements [eventlog.Store]. It takes no longer than Redis takes to answer.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.closed)
		s.watch.close()
		s.redis.Close()
	})
	return nil
}
