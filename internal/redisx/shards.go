package redisx

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

// Shards speaks to Redis by channels and streams, on one server or on all of a Redis Cluster: it finds out which it is, has a
// [Client] for each server that it needs, and a [Subscriber] where it hears something, and follows channels and streams whose
// slot moves to another server. It is safe for concurrent use.
type Shards struct {
	opts    Options
	name    func(channel string) Name
	sharded bool // the names that it makes are of shard channels
	hooks   ShardHooks
	seeds   []*Client // the servers of the URL
	router  *service.Service
	wake    chan struct{} // full: the topology may have changed
	asking  sync.WaitGroup

	single  atomic.Bool
	telling sync.Mutex // ahead of mu: State is called one at a time
	told    bool       // what it was told last; protected by telling

	mu        sync.Mutex
	table     *topology             // nil until it is known
	learned   chan struct{}         // closed with the next topology
	cause     error                 // why it is not known
	servers   map[string]*shardNode // by address
	listeners map[*ShardListener]struct{}
	closed    bool
	done      chan struct{}
}

// ShardHooks are those of [Hooks], for all servers together.
type ShardHooks struct {
	// State is called when the connections to all servers that are needed are there (true), and when one of them is lost or
	// cannot be made (false, with the cause).
	State func(up bool, err error)
	// Refused and Accepted are as in [Hooks].
	Refused  func(n Name, err error)
	Accepted func(n Name, since time.Time)
	// Moved is called when the server of a channel has changed: what was published since it did may be missing.
	Moved func(channel string)
}

// NewShards returns what speaks to the servers that opts describe: one, a Sentinel's master, or any of a Redis Cluster's,
// of which the URL may name several (?addr=host:port). It starts to connect and does not wait for that: an error means that
// the options are wrong. Name says of which kind the channels are: [Shard], or [Channel], of which every server of a cluster
// hears what any of them is given.
func NewShards(opts Options, name func(channel string) Name, hooks ShardHooks) (*Shards, error) {
	opts.cluster = true
	first, err := New(opts)
	if err != nil {
		return nil, err
	}
	opts.Timeout = first.Timeout()
	s := &Shards{opts: opts, name: name, sharded: name("").kind == shard, hooks: hooks, seeds: []*Client{first}, wake: make(chan struct{}, 1), learned: make(chan struct{}),
		cause: errors.New("redis: not connected yet"), servers: make(map[string]*shardNode), listeners: make(map[*ShardListener]struct{}), done: make(chan struct{})}
	if first.opt.Sentinel.MasterSet == "" && len(first.opt.InitAddress) > 1 {
		s.seeds = s.seeds[:0]
		for _, address := range first.opt.InitAddress {
			of := opts
			of.address = address
			c, err := New(of)
			if err != nil {
				return nil, err
			}
			s.seeds = append(s.seeds, c)
		}
	}
	s.kick()
	s.router = service.Start(s.route)
	return s, nil
}

// ValidateShards returns what is wrong with the options of [NewShards].
func ValidateShards(o Options) error {
	o.cluster = true
	return o.Validate()
}

// Timeout returns how long a connection and an answer may take.
func (s *Shards) Timeout() time.Duration { return s.opts.Timeout }

// Close closes all connections. When it has returned, the listeners are not called any more.
func (s *Shards) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	servers := slices.Collect(maps.Values(s.servers))
	s.mu.Unlock()
	for _, c := range s.seeds {
		c.Close() // first, for it ends attempts to connect
	}
	for _, n := range servers {
		n.client.Close()
	}
	s.router.Stop()
	s.asking.Wait()
	for _, n := range servers {
		n.close()
	}
}

// Away returns why a channel that is on no server, or on one that is away, is not heard; nil if it is.
func (s *Shards) Away(channel string) (since time.Time, cause error) {
	s.mu.Lock()
	n, err := s.nodeOf(channel)
	var subscriber *Subscriber
	if err == nil {
		subscriber = n.subscriber
	}
	s.mu.Unlock()
	if subscriber == nil {
		return time.Time{}, err
	}
	return subscriber.Away()
}

// Refused returns how many channels are wanted and refused now.
func (s *Shards) Refused() (count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.servers {
		if n.subscriber != nil {
			count += n.subscriber.Refused()
		}
	}
	return count
}

// kick has the router ask for the topology.
func (s *Shards) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// How long to wait before the topology is asked for again: it changes seldom, and takes a moment to be known everywhere.
const (
	minRefresh = 20 * time.Millisecond
	maxRefresh = time.Second
)

// route keeps the topology until ctx ends.
func (s *Shards) route(ctx context.Context) {
	backoff := service.Backoff{Min: minRefresh, Max: maxRefresh}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		err := s.refresh(ctx)
		if err != nil {
			s.mu.Lock()
			s.cause = err
			known := s.table != nil
			s.mu.Unlock()
			if !known {
				s.telling.Lock()
				s.hooks.State(false, err)
				s.telling.Unlock()
			}
			s.kick()
		}
		if !service.Pause(ctx, backoff.Next()) {
			return
		}
		if len(s.wake) == 0 { // nobody found it wrong
			backoff.Reset()
		}
	}
}

// refresh asks for the topology and follows what the first server to answer says. It asks those that are in use, all at once
// for some may be gone, and then the others.
func (s *Shards) refresh(ctx context.Context) error {
	s.mu.Lock()
	table := s.table
	used := slices.Clone(s.seeds)
	for _, n := range s.servers {
		used = append(used, n.client)
	}
	s.mu.Unlock()
	if table != nil && table.servers == nil {
		return nil
	}
	err := s.ask(ctx, used)
	if err == nil || table == nil {
		return err
	}
	var others []*Client
	s.mu.Lock()
	for _, address := range table.servers {
		if s.servers[address] == nil && !s.closed {
			others = append(others, s.node(address).client)
		}
	}
	s.mu.Unlock()
	if len(others) == 0 {
		return err
	}
	return s.ask(ctx, others)
}

// ask asks servers for the topology, and follows the first answer.
func (s *Shards) ask(ctx context.Context, clients []*Client) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	type answer struct {
		table *topology
		err   error
	}
	answers := make(chan answer, len(clients))
	for _, c := range clients {
		s.asking.Go(func() {
			table, err := c.topology(ctx)
			answers <- answer{table, err}
		})
	}
	var failed error
	for range clients {
		a := <-answers
		if a.err == nil {
			s.follow(a.table)
			return nil
		}
		failed = a.err
	}
	return failed
}

// follow takes each channel to the server that has it now.
func (s *Shards) follow(table *topology) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.table, s.cause = table, nil
	s.single.Store(table.servers == nil)
	close(s.learned)
	s.learned = make(chan struct{})
	var moved []string
	for l := range s.listeners {
		for channel, a := range l.channels {
			address, ok := table.addressOf(channel)
			stays := ok && a.node != nil && s.servers[address] == a.node
			if stays && a.lost && l.on(a.node).subscribed(s.name(channel)) {
				a.lost = false // the refusal was of an attempt before
			}
			if !ok || stays && !a.lost {
				continue
			}
			if a.node != nil {
				l.on(a.node).Remove(s.name(channel))
				if !stays || a.silenced {
					moved = append(moved, channel)
				}
			}
			l.assign(channel, address)
			close(a.left)
		}
	}
	var gone []*shardNode
	for address, n := range s.servers {
		if address != "" && !slices.Contains(table.servers, address) {
			delete(s.servers, address)
			gone = append(gone, n)
			for l := range s.listeners {
				delete(l.nodes, n)
			}
		}
	}
	s.mu.Unlock()
	for _, n := range gone {
		n.close()
	}
	if len(gone) > 0 {
		s.tell()
	}
	for _, channel := range moved {
		s.hooks.Moved(channel)
	}
}
