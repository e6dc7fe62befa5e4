package redisx

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// census is what a client needs to count the subscribers of a channel on all servers of a Redis Cluster: each says only how
// many it has itself.
type census struct {
	mu     sync.Mutex
	known  bool
	asked  time.Time          // when the servers were asked for
	peers  map[string]*Client // of all servers, by address; none if there is no cluster
	closed bool
}

// censusAge is how long it is believed which servers there are. Where there is no cluster, none comes to be.
const censusAge = 2 * time.Second

// Subscribers returns how many connections are subscribed to channel, on all servers of a cluster: PUBSUB NUMSUB.
func (c *Client) Subscribers(ctx context.Context, channel string) (int64, error) {
	servers, err := c.servers(ctx)
	if err != nil {
		return 0, err
	}
	total, err := sum(ctx, servers, channel)
	if err != nil {
		c.census.forget()
	}
	return total, err
}

// sum adds up how many connections are subscribed to channel on servers.
func sum(ctx context.Context, servers []*Client, channel string) (total int64, err error) {
	type result struct {
		n   int64
		err error
	}
	results := make(chan result, len(servers))
	for _, server := range servers {
		go func() {
			n, err := server.subscribers(ctx, channel)
			results <- result{n, err}
		}()
	}
	for range servers {
		r := <-results
		total += r.n
		err = errors.Join(err, r.err)
	}
	if err != nil {
		return 0, err
	}
	return total, nil
}

// Alone reports whether the server is in no cluster, and has no replicas and none that may come back: all who hear what is
// published on it are connections to it, which [Client.Publish] counts.
func (c *Client) Alone(ctx context.Context) (bool, error) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	commands := make(rueidis.Commands, 2)
	for i, section := range []string{"cluster", "replication"} {
		commands[i] = client.B().Info().Section(section).Build()
	}
	var texts [2]string
	for i, result := range client.DoMulti(ctx, commands...) {
		if texts[i], err = result.ToString(); err != nil {
			return false, c.explain("ask whether there are other servers", err)
		}
	}
	return says(texts[0], "cluster_enabled:0") && unreplicated(texts[1]), nil
}

// says reports whether an answer to INFO has that line.
func says(text, line string) bool { return strings.Contains(text, "\n"+line+"\r") }

// unreplicated reads what INFO says of replication: whether nothing that was published until then gets to another server. One that
// is cut off is no replica for the time, and is sent what it has missed when it comes back, as long as there is a backlog; Redis
// ends that when there has been no replica for an hour (repl-backlog-ttl). Servers that know no backlog do not mention it.
func unreplicated(text string) bool {
	return says(text, "role:master") && says(text, "connected_slaves:0") && !says(text, "repl_backlog_active:1")
}

// subscribers counts those of one server.
func (c *Client) subscribers(ctx context.Context, channel string) (int64, error) {
	client, err := c.connected()
	if err != nil {
		return 0, err
	}
	counts, err := client.Do(ctx, client.B().PubsubNumsub().Channel(channel).Build()).AsIntMap()
	if err != nil {
		return 0, c.explain("count the subscribers of "+channel, err)
	}
	return counts[channel], nil
}

// servers returns clients of all servers: c alone if there is no cluster.
func (c *Client) servers(ctx context.Context) ([]*Client, error) {
	g := &c.census
	g.mu.Lock()
	fresh := g.known && (len(g.peers) == 0 || time.Since(g.asked) < censusAge)
	g.mu.Unlock()
	var table *topology
	if !fresh {
		var err error
		table, err = c.topology(ctx)
		switch {
		case err == nil:
		case isAnswer(err): // it does not know of clusters, or does not tell this user
			table = &topology{}
		default:
			return nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	if table != nil {
		g.learn(c.opts, table)
	}
	if len(g.peers) == 0 {
		return []*Client{c}, nil
	}
	list := make([]*Client, 0, len(g.peers))
	for _, peer := range g.peers {
		list = append(list, peer)
	}
	return list, nil
}

// learn keeps the clients of the servers there are. The caller holds mu.
func (g *census) learn(opts Options, table *topology) {
	peers := make(map[string]*Client, len(table.servers))
	for _, address := range table.servers {
		if peers[address] = g.peers[address]; peers[address] == nil {
			opts.address = address
			peers[address], _ = New(opts) // the options were accepted before
		}
		delete(g.peers, address)
	}
	for _, gone := range g.peers {
		gone.Close()
	}
	g.known, g.asked, g.peers = true, time.Now(), peers
}

// forget has the servers be asked for again.
func (g *census) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = false
}

func (g *census) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, peer := range g.peers {
		peer.Close()
	}
}
