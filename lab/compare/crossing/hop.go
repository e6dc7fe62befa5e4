package crossing

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/hist"
	"github.com/peal-dev/peal/internal/bench/process"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// Hop is clients of `peal serve` whose sessions are on one node, and which reach it directly or through another one.
type Hop struct {
	Owner, Other Node
	Through      bool // the clients' requests reach Other
	Polling      bool // the clients use long polling; else WebSocket
	Clients      int
	Rate         int     // events, and then messages, a second
	Seconds      float64 // of each
	// Patience is how long to wait at the end for what is late; 0 means 2 s.
	Patience time.Duration
}

// HopResult is what a Hop measured: of events that the node acknowledges, and of messages that it pushes.
type HopResult struct{ Event, Push HopCost }

// HopCost is the cost of one kind.
type HopCost struct {
	P50, P99     time.Duration // from when it was due
	Owner, Other time.Duration // processor time of each
	Lost         int           // that did not come in time
}

// hopRun is a Hop that is being measured.
type hopRun struct {
	Hop
	loop     *evloop.Loop
	clients  *swarm.Swarm
	posters  []*swarm.Client // of polling clients: their connections for what they send
	sessions []string
	epoch    time.Time
	id       uint32
	due      [][]time.Duration // of each client's events, by acknowledgement id
	latency  hist.Histogram
	done     int
}

// Measure connects the clients and measures.
func (h Hop) Measure(ctx context.Context) (result HopResult, err error) {
	r := &hopRun{Hop: h, epoch: time.Now(), id: rand.Uint32(), due: make([][]time.Duration, h.Clients)}
	if r.loop, err = evloop.New(); err != nil {
		return result, err
	}
	defer r.loop.Close()
	defer evloop.Pin()()
	if err := r.open(ctx); err != nil {
		return result, err
	}
	publisher := swarm.New(r.loop, swarm.Config{Target: h.Owner.Addr})
	if err := publisher.Connect(ctx, 1, 1); err != nil {
		return result, fmt.Errorf("the publisher: %w", err)
	}
	for _, part := range []struct {
		to   *HopCost
		send func(n int, due time.Duration)
	}{{&result.Event, r.event}, {&result.Push, func(n int, due time.Duration) { r.push(publisher.Clients()[0], n, due) }}} {
		if *part.to, err = r.pace(ctx, part.send); err != nil {
			return result, err
		}
	}
	if err := errors.Join(r.clients.Err(), publisher.Err()); err != nil {
		return result, err
	}
	return result, r.leave(ctx)
}

// leave closes the sessions of polling clients, whose node would wait for them to come back.
func (r *hopRun) leave(ctx context.Context) error {
	if !r.Polling {
		return nil
	}
	for _, sid := range r.sessions {
		if _, err := ask(ctx, http.MethodPost, r.Owner, "&sid="+sid, "1"); err != nil {
			return fmt.Errorf("closing a session: %w", err)
		}
	}
	return nil
}

// target is the node that the clients' requests reach.
func (r *hopRun) target() Node {
	if r.Through {
		return r.Other
	}
	return r.Owner
}

// open opens the sessions on their node, and connects the clients that go on with them.
func (r *hopRun) open(ctx context.Context) error {
	for range r.Clients {
		sid, err := OpenSession(ctx, r.Owner)
		if err != nil {
			return err
		}
		r.sessions = append(r.sessions, sid)
	}
	cfg := swarm.Config{
		Target:    r.target().Addr,
		Session:   func(i int) string { return r.sessions[i] },
		Subscribe: func(i int) string { return subscription(bench.Peal, []string{roomName(i)}) },
		Message:   r.received, Ack: r.acknowledged,
	}
	if r.Polling {
		cfg.Transport = swarm.Polling
	}
	r.clients = swarm.New(r.loop, cfg)
	if err := r.clients.Connect(ctx, r.Clients, atOnce); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	if !r.Polling {
		return nil
	}
	posters := swarm.New(r.loop, swarm.Config{Target: r.target().Addr, First: r.Clients, Transport: swarm.HTTP})
	if err := posters.Connect(ctx, r.Clients, atOnce); err != nil {
		return fmt.Errorf("what polling clients send with: %w", err)
	}
	r.posters = posters.Clients()
	return nil
}

// pace has something sent at the rate and waits for what is to arrive.
func (r *hopRun) pace(ctx context.Context, send func(n int, due time.Duration)) (cost HopCost, err error) {
	patience := cmp.Or(r.Patience, 2*time.Second)
	r.latency.Reset()
	r.done = 0
	var before [2]time.Duration
	for i, n := range []Node{r.Owner, r.Other} {
		if before[i], err = process.CPU(n.PID); err != nil {
			return cost, err
		}
	}
	total := int(float64(r.Rate) * r.Seconds)
	began := time.Since(r.epoch)
	due := func(n int) time.Duration {
		return began + time.Duration(float64(n)/float64(r.Rate)*float64(time.Second))
	}
	for sent := 0; ; {
		now := time.Since(r.epoch)
		for ; sent < total && due(sent) <= now; sent++ {
			send(sent, due(sent))
		}
		if sent == total && (r.done >= total || now > due(total)+patience) {
			break
		}
		next := due(sent) - now
		if sent == total {
			next = due(total) + patience - now
		}
		if err := ctx.Err(); err != nil {
			return cost, context.Cause(ctx)
		}
		if err := errors.Join(r.loop.Poll(max(next, 0)), r.clients.Err()); err != nil {
			return cost, err
		}
	}
	for i, to := range []*time.Duration{&cost.Owner, &cost.Other} {
		used, err := process.CPU([]Node{r.Owner, r.Other}[i].PID)
		if err != nil {
			return cost, err
		}
		*to = (used - before[i]) / time.Duration(total)
	}
	cost.P50, cost.P99, cost.Lost = r.latency.Quantile(0.5), r.latency.Quantile(0.99), total-r.done
	return cost, nil
}

// event has a client send an event that is acknowledged and changes nothing: it asks for the room that it is in.
func (r *hopRun) event(n int, due time.Duration) {
	i := n % r.Clients
	packet := fmt.Appendf(nil, `42%d["subscribe",[%q]]`, len(r.due[i]), roomName(i))
	r.due[i] = append(r.due[i], due)
	if !r.Polling {
		r.clients.Clients()[i].Send(wire.AppendFrame(nil, wire.Text, packet))
		return
	}
	r.posters[i].Send(fmt.Appendf(nil, "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: peal-bench\r\n"+
		"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", r.sessions[i], r.target().Addr, len(packet), packet))
}

func (r *hopRun) acknowledged(c *swarm.Client, payload []byte) {
	number, _, _ := bytes.Cut(payload, []byte("["))
	id, err := strconv.Atoi(string(number))
	if err != nil || id >= len(r.due[c.Index]) || !bytes.Contains(payload, []byte(`"ok":true`)) {
		return // it is lost then
	}
	r.arrived(r.due[c.Index][id])
}

// push has a client of the owner publish to a client's room.
func (r *hopRun) push(publisher *swarm.Client, n int, due time.Duration) {
	i := n % r.Clients
	const size = 100
	data := wire.AppendPadded(nil, wire.Stamp{Run: r.id, Topic: uint32(i), Seq: uint32(n), At: due}, size)
	publisher.Send(appendPublication(nil, bench.Peal, 0, roomName(i), data))
}

func (r *hopRun) received(c *swarm.Client, payload []byte) {
	if stamp, ok := wire.FindStamp(payload); ok && stamp.Run == r.id && int(stamp.Topic) == c.Index {
		r.arrived(stamp.At)
	}
}

func (r *hopRun) arrived(due time.Duration) {
	r.done++
	r.latency.Record(time.Since(r.epoch) - due)
}

// OpenSession opens an Engine.IO session on a node by long polling, and returns its id.
func OpenSession(ctx context.Context, n Node) (sid string, err error) {
	body, err := ask(ctx, http.MethodGet, n, "", "")
	if err != nil {
		return "", fmt.Errorf("opening a session: %w", err)
	}
	_, sid, _ = strings.Cut(body, `"sid":"`)
	sid, _, ok := strings.Cut(sid, `"`)
	if !ok {
		return "", fmt.Errorf("an answer without sid: %.200q", body)
	}
	return sid, nil
}

// Known waits until a node passes on what is for a session of another, which it does once they know each other.
func Known(ctx context.Context, owner, other Node) error {
	sid, err := OpenSession(ctx, owner)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("the node does not get to know the session's"))
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err = ask(ctx, http.MethodPost, other, "&sid="+sid, "1"); err == nil { // which also closes it
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

func ask(ctx context.Context, method string, n Node, query, body string) (answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://%s/socket.io/?EIO=4&transport=polling%s", n.Addr, query), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %.200q", resp.StatusCode, text)
	}
	return string(text), nil
}
