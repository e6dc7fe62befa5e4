//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// listening finds the address in the first line of a node, which ends behind it.
var listening = regexp.MustCompile(`listening on http://(127\.0\.0\.1:\d+)\s`)

// cluster is a Redis and the nodes that it connects.
type cluster struct {
	redis     *child
	redisAddr string
	nodes     []*child
	addrs     []string // of the nodes
	http      *http.Client
}

// startUp bounds how long one server may take to come up.
const startUp = 20 * time.Second

// startCluster starts everything and waits until all nodes are in the cluster. What was started is in the result even
// if there is an error. fail is told of a process that ends by itself.
func startCluster(ctx context.Context, s *settings, fail func(error)) (*cluster, error) {
	c := &cluster{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: publishers}, Timeout: s.patience}}
	if err := c.startRedis(ctx, s, fail); err != nil {
		return c, err
	}
	for i := range s.nodes {
		if err := c.startNode(ctx, s, i, fail); err != nil {
			return c, err
		}
	}
	for i := range c.nodes {
		if err := poll(ctx, startUp, func() error { _, err := c.get(ctx, i, "/readyz"); return err }); err != nil {
			return c, fmt.Errorf("node %d does not join the cluster: %w", i, err)
		}
	}
	return c, nil
}

func (c *cluster) startRedis(ctx context.Context, s *settings, fail func(error)) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	c.redisAddr = net.JoinHostPort("127.0.0.1", port)
	cmd := exec.Command(s.redis, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--daemonize", "no",
		"--dir", os.TempDir(), "--loglevel", "warning")
	if c.redis, err = startChild("redis-server", cmd, discard{}, fail); err != nil {
		return err
	}
	return poll(ctx, startUp, func() error { _, err := c.redisInfo(ctx); return err })
}

// freePort returns a port that nobody listens on now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("a port for Redis: %w", err)
	}
	defer l.Close() // nothing was written
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func (c *cluster) startNode(ctx context.Context, s *settings, i int, fail func(error)) error {
	cmd := exec.Command(s.peal, "serve", "--dev", "--max-publish-rate", "1000000", "--max-connections", "10000000", "--listen", "127.0.0.1:0", "--cluster", "redis://"+c.redisAddr, "--log-level", "warn",
		"--ping-interval", s.pingInterval.String(), "--ping-timeout", s.pingTimeout.String())
	cmd.Env = append(os.Environ(), "GOGC="+s.gogc)
	where := &address{found: make(chan string, 1)}
	node, err := startChild("node "+strconv.Itoa(i), cmd, where, fail)
	if err != nil {
		return err
	}
	c.nodes = append(c.nodes, node)
	timer := time.NewTimer(startUp)
	defer timer.Stop()
	select {
	case addr, ok := <-where.found:
		if !ok {
			return fmt.Errorf("node %d ended without saying that it listens%s", i, node.stderr.said())
		}
		c.addrs = append(c.addrs, addr)
		return nil
	case <-timer.C:
		return fmt.Errorf("node %d did not say within %s that it listens", i, startUp)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// poll calls try until it succeeds.
func poll(ctx context.Context, limit time.Duration, try func() error) error {
	const pause = 50 * time.Millisecond
	for began := time.Now(); ; {
		err := try()
		if err == nil {
			return nil
		}
		if time.Since(began) > limit {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// sleep waits, or returns why ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// get returns the body of a node's answer.
func (c *cluster) get(ctx context.Context, node int, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addrs[node]+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}

// publish publishes a request on a node.
func (c *cluster) publish(ctx context.Context, node int, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addrs[node]+"/v1/publish", bytes.NewReader(body))
	if err != nil {
		return err
	}
	if _, err := c.do(req); err != nil {
		return fmt.Errorf("publishing on node %d: %w", node, err)
	}
	return nil
}

func (c *cluster) do(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d: %.200s", req.URL.Path, resp.StatusCode, body)
	}
	return body, nil
}

// traffic is what a node counts of its adapter.
type traffic struct {
	Envelopes  uint64 // received from other nodes and for members here
	FromRedis  uint64 // messages Redis sent, whatever for
	Deliveries uint64 // to members here
	Members    uint64
}

// traffics reads the counters of all nodes.
func (c *cluster) traffics(ctx context.Context) ([]traffic, error) {
	all := make([]traffic, len(c.nodes))
	for i := range all {
		text, err := c.get(ctx, i, "/metrics")
		if err != nil {
			return nil, fmt.Errorf("counters of node %d: %w", i, err)
		}
		for series, to := range map[string]*uint64{
			`peal_cluster_envelopes_total{direction="in",namespace="/"}`: &all[i].Envelopes,
			`peal_broker_received_total`:                                 &all[i].FromRedis,
			`peal_deliveries_total{namespace="/"}`:                       &all[i].Deliveries,
			`peal_members{namespace="/"}`:                                &all[i].Members,
		} {
			if *to, err = metric(text, series); err != nil {
				return nil, fmt.Errorf("counters of node %d: %w", i, err)
			}
		}
	}
	return all, nil
}

// metric finds the value of a series in the text format of Prometheus.
func metric(text []byte, series string) (uint64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(series+" ")); ok {
			v, err := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
			return uint64(v), err
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", series)
}

// redisInfo is an answer to INFO.
type redisInfo struct {
	fields map[string]string
	size   int // bytes of the answer
}

// redisInfo returns what Redis says of itself.
func (c *cluster) redisInfo(ctx context.Context) (redisInfo, error) {
	var d net.Dialer
	var info redisInfo
	conn, err := d.DialContext(ctx, "tcp", c.redisAddr)
	if err != nil {
		return info, err
	}
	defer conn.Close() // all was read
	if err := conn.SetDeadline(time.Now().Add(startUp)); err != nil {
		return info, err
	}
	if _, err := io.WriteString(conn, "INFO\r\n"); err != nil {
		return info, err
	}
	r := bufio.NewReader(conn)
	head, err := r.ReadString('\n')
	if err != nil {
		return info, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "$")))
	if err != nil {
		return info, fmt.Errorf("INFO: Redis answered %.100q", head)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return info, err
	}
	info = redisInfo{fields: map[string]string{}, size: len(head) + n + len("\r\n")}
	for line := range strings.SplitSeq(string(text), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			info.fields[name] = value
		}
	}
	return info, nil
}

// sent returns how many bytes Redis had sent in all before it answered, and how many it has sent with its answer.
func (c *cluster) sent(ctx context.Context) (before, now uint64, err error) {
	info, err := c.redisInfo(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("counters of Redis: %w", err)
	}
	if before, err = strconv.ParseUint(info.fields["total_net_output_bytes"], 10, 64); err != nil {
		return 0, 0, fmt.Errorf("counters of Redis: %w", err)
	}
	return before, before + uint64(info.size), nil
}

// kill ends all processes at once; wait returns when they have ended.
func (c *cluster) kill() {
	for _, n := range c.nodes {
		n.kill()
	}
	if c.redis != nil {
		c.redis.kill()
	}
}

func (c *cluster) wait() {
	for _, n := range c.nodes {
		n.wait()
	}
	if c.redis != nil {
		c.redis.wait()
	}
	c.http.CloseIdleConnections()
}

// discard is a writer of which nobody wants to know.
type discard struct{}

// Write implements io.Writer.
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Close implements io.Closer.
func (discard) Close() error { return nil }
