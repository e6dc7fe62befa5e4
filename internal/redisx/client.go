package redisx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/peal-dev/peal/internal/rival"
)

// ErrClosed means that the client or subscriber was closed.
var ErrClosed = errors.New("redis: closed")

// Client is a connection to Redis that is made when it is first needed, and made again when it was lost.
// It is safe for concurrent use.
type Client struct {
	opt     rueidis.ClientOption
	timeout time.Duration
	watcher *rival.Watcher
	opts    Options
	closing sync.Once
	closed  chan struct{}
	census  census

	mu     sync.Mutex
	client rueidis.Client // nil until needed

	// absent are the subscribers that wait for Redis to come back; missing is their number, so that publishing takes no
	// lock while there are none.
	absentMu sync.Mutex
	absent   map[*Subscriber]struct{}
	missing  atomic.Int32
}

// New returns a client for the server opts describe. It does not connect yet: an error means that the options are wrong.
func New(opts Options) (*Client, error) {
	closed := make(chan struct{})
	opt, err := opts.clientOption(closed)
	if err != nil {
		return nil, err
	}
	watcher := &rival.Watcher{
		Probe: []byte("PING\r\n"), Suspicion: suspicion, // whoever is not let in is answered as well
		Exchange: func() rival.Exchange { return new(exchange) },
	}
	dial := opt.DialCtxFn
	opt.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
		return watcher.Open(ctx, func(ctx context.Context) (net.Conn, error) { return dial(ctx, addr, d, config) })
	}
	return &Client{opts: opts, opt: opt, timeout: opts.Timeout, watcher: watcher, closed: closed, absent: make(map[*Subscriber]struct{})}, nil
}

// Timeout returns how long a connection and an answer may take.
func (c *Client) Timeout() time.Duration { return c.timeout }

// connected returns the library's client. It blocks no longer than a connection may take.
func (c *Client) connected() (rueidis.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return nil, ErrClosed
	default:
	}
	if c.client == nil {
		client, err := rueidis.NewClient(c.opt)
		// With an error there may be a client nevertheless, which goes on trying whenever it is used.
		if client == nil {
			return nil, fmt.Errorf("redis: connect: %w", err)
		}
		c.client = client
	}
	return c.client, nil
}

// begin returns the library's client, and a context that ends with the time that an answer may take: done is to be called after it.
func (c *Client) begin(ctx context.Context) (client rueidis.Client, bounded context.Context, done context.CancelFunc, err error) {
	if client, err = c.connected(); err != nil {
		return nil, nil, nil, err
	}
	bounded, done = context.WithTimeout(ctx, c.timeout)
	return client, bounded, done, nil
}

// primary returns the address of the server that commands go to now, where Sentinel may change it, and else "".
func (c *Client) primary(client rueidis.Client) string {
	if client.Mode() != rueidis.ClientModeSentinel {
		return ""
	}
	for addr := range client.Nodes() {
		return addr
	}
	return ""
}

// Message is something to publish, and what became of it.
type Message struct {
	Channel string
	Payload []byte
	// Sharded says that Channel is a shard channel.
	Sharded bool
	// Err is set by Publish: nil if Redis took the message.
	Err error
	// Receivers is set by Publish: to how many connections the server that took the message sent it. Those that other
	// servers of a cluster, or replicas, sent it to are not among them.
	Receivers int64
}

// Publish publishes the batch in its order with one round trip, and sets the messages' Err. Calls must not overlap if
// their order matters. It returns within twice the Timeout even if ctx has no deadline; a message that was on its way
// when the time was up may arrive nevertheless.
func (c *Client) Publish(ctx context.Context, batch []Message) { c.PublishAndCount(ctx, batch) }

// PublishAndCount is Publish, and returns how many connections are subscribed to each of channels by name, right behind the last
// message: a connection that is not counted has subscribed after all of the batch, or not at all. Only those of the server
// that took the messages count. If the server does not say, if it has replicas behind the last message, or if there are no
// channels, counts are nil. Whether there is a cluster is not asked; see [Client.Alone].
func (c *Client) PublishAndCount(ctx context.Context, batch []Message, channels ...string) (counts []int64) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		for i := range batch {
			batch[i].Err = err
		}
		return nil
	}
	defer done()
	commands := make(rueidis.Commands, len(batch), len(batch)+2)
	for i := range batch {
		if payload := rueidis.BinaryString(batch[i].Payload); batch[i].Sharded {
			commands[i] = client.B().Spublish().Channel(batch[i].Channel).Message(payload).Build()
		} else {
			commands[i] = client.B().Publish().Channel(batch[i].Channel).Message(payload).Build()
		}
	}
	if len(channels) > 0 {
		commands = append(commands, client.B().PubsubNumsub().Channel(channels...).Build(), client.B().Info().Section("replication").Build())
	}
	answered := false
	for i, result := range client.DoMulti(ctx, commands...) {
		switch i {
		case len(batch):
			counts = countsOf(result, len(channels))
			continue
		case len(batch) + 1:
			if text, err := result.ToString(); err != nil || !unreplicated(text) {
				counts = nil
			}
			continue
		}
		var err error
		batch[i].Receivers, err = result.AsInt64()
		batch[i].Err = c.explain("publish", err)
		answered = answered || err == nil || isAnswer(err)
	}
	if answered && c.missing.Load() > 0 {
		c.rouse()
	}
	return counts
}

// countsOf reads the answer to PUBSUB NUMSUB: channels and numbers in turn, in the order of the question.
func countsOf(result rueidis.RedisResult, n int) []int64 {
	pairs, err := result.ToArray()
	if err != nil || len(pairs) != 2*n {
		return nil
	}
	counts := make([]int64, n)
	for i := range counts {
		if counts[i], err = pairs[2*i+1].AsInt64(); err != nil {
			return nil
		}
	}
	return counts
}

// IsAnswer reports whether err is the server's answer to a message that it does not take, as when a rule of its ACL forbids that.
func IsAnswer(err error) bool { return isAnswer(err) }

// watch has s roused when Redis answers somebody.
func (c *Client) watch(s *Subscriber) {
	c.absentMu.Lock()
	defer c.absentMu.Unlock()
	c.absent[s] = struct{}{}
	c.missing.Store(int32(len(c.absent)))
}

func (c *Client) unwatch(s *Subscriber) {
	c.absentMu.Lock()
	defer c.absentMu.Unlock()
	delete(c.absent, s)
	c.missing.Store(int32(len(c.absent)))
}

// rouse has the subscribers that wait for Redis try again at once.
func (c *Client) rouse() {
	c.absentMu.Lock()
	defer c.absentMu.Unlock()
	for s := range c.absent {
		select {
		case s.nudge <- struct{}{}:
		default:
		}
	}
}

// explain says what failed, and tells a connection that was closed from one that was lost.
func (c *Client) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-c.closed:
		return fmt.Errorf("%w: %s: %w", ErrClosed, what, err)
	default:
		return fmt.Errorf("redis: %s: %w", what, err)
	}
}

// ShardSubscribers returns how many connections are subscribed to a shard channel on this server: PUBSUB SHARDNUMSUB.
func (c *Client) ShardSubscribers(ctx context.Context, channel string) (int64, error) {
	client, err := c.connected()
	if err != nil {
		return 0, err
	}
	counts, err := client.Do(ctx, client.B().PubsubShardnumsub().Channel(channel).Build()).AsIntMap()
	if err != nil {
		return 0, c.explain("count the subscribers of "+channel, err)
	}
	return counts[channel], nil
}

// Close closes the connections, those of subscribers too. Calls in progress fail.
func (c *Client) Close() {
	c.closing.Do(func() {
		// First what is being dialed, which holds the lock.
		close(c.closed)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.client != nil {
			c.client.Close()
		}
		c.watcher.Close()
		c.census.close()
	})
}
