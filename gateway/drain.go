package gateway

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// drainTick is how often a node that drains sends some of its clients away.
	drainTick = 50 * time.Millisecond
	// comparing is after how many of these a node compares its clients with those of the others: once a second.
	comparing = int(time.Second / drainTick)
	// fair is how many clients more than its share a node keeps, and by what part of it: balancers are not exact either.
	fair, fairPart = 10, 0.05
)

// Leave has [Server.Wait] return nil, so that [Run] shuts the node down, with that time in place of Config.Drain. Only the
// first call counts.
func (s *Server) Leave(drain time.Duration) {
	s.leaveOnce.Do(func() {
		s.drainTime.Store(int64(drain))
		close(s.leave)
	})
}

// drain refuses new clients and sends those there are away, at an even pace until the time is over, so that the other nodes
// are not overrun. Everything else goes on meanwhile. It ends early when there are none, or with ctx.
func (s *Server) drain(ctx context.Context, over time.Duration) {
	if s.cluster != nil {
		s.cluster.Drain()
	}
	all := s.clients()
	if over <= 0 || all == 0 {
		return
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "sending the clients away", slog.Int("clients", all), slog.Duration("over", over))
	end := time.Now().Add(over)
	ticker := time.NewTicker(drainTick)
	defer ticker.Stop()
	for {
		left := max(time.Until(end), 0)
		stay := math.Ceil(float64(all) * float64(left) / float64(over))
		s.shed(s.clients() - int(stay))
		if stay == 0 || s.clients() == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// clients returns how many clients are connected to this node now.
func (s *Server) clients() int { return s.io.Stats().Connections + s.streams.Stats().Streams }

// shed sends n clients away, of sockets and streams in proportion.
func (s *Server) shed(n int) (shed int) {
	sockets, streams := s.io.Stats().Connections, s.streams.Stats().Streams
	if n <= 0 || sockets+streams == 0 {
		return 0
	}
	ofStreams := (n*streams + sockets + streams - 1) / (sockets + streams)
	shed = s.streams.Shed(ofStreams)
	return shed + s.io.Shed(n-shed)
}

// rebalance sends clients away as long as this node has more than its share of those of the cluster, until ctx ends: each
// second as many as it may, one after another. They come back by the load balancer, to any node, so that one that has just
// joined gets its share. What a busy machine does too late is left out: the pace is never above what was set.
func (s *Server) rebalance(ctx context.Context) {
	ticker := time.NewTicker(drainTick)
	defer ticker.Stop()
	share, before := 0, 0 // of this second, and how many clients there were when it began
	for tick := 0; ; tick++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if s.leaving.Load() {
			continue
		}
		part := tick % comparing
		if part == 0 {
			// What the others have said is about a second old, so of this node's own it counts what has been there as long. Half of
			// what is too much: clients that are on their way are nobody's for a moment, in which the share seems smaller than it is.
			now := s.clients()
			share = min((s.excess(min(now, before))+1)/2, s.cfg.Rebalance)
			before = now
		}
		if n := share*(part+1)/comparing - share*part/comparing; n > 0 {
			s.rebalanced.Add(uint64(s.shed(n)))
		}
	}
}

// excess returns how many clients this node has beyond its share if it has that many. While another node drains there is none:
// its clients are about to come, at a pace that is set for all.
func (s *Server) excess(mine int) int {
	all, nodes := 0, 0
	for _, node := range s.cluster.Nodes() {
		switch {
		case node.ID == s.cluster.ID():
			all += mine
			nodes++
		case node.Draining:
			return 0
		default:
			all += node.Load.Clients
			nodes++
		}
	}
	share := all / max(nodes, 1)
	if float64(mine) <= float64(share)*(1+fairPart)+fair {
		return 0
	}
	return mine - share
}

// drainRequest is the body of POST /v1/drain, which may be left out.
type drainRequest struct {
	Over string `json:"over"` // for how long, as Go writes durations; "" means Config.Drain
}

// drainNode is POST /v1/drain: the node sends its clients away and ends. It answers at once.
func (s *Server) drainNode(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxBody)))
	if err != nil {
		return bodyError(err, s.cfg.MaxBody)
	}
	invalid := &apiError{CodeInvalidRequest, `the request must be empty, or an object such as {"over":"30s"}`}
	over := s.cfg.Drain
	if len(body) > 0 {
		var d drainRequest
		if err := json.Unmarshal(body, &d, json.RejectUnknownMembers(true)); err != nil {
			return invalid
		}
		if d.Over != "" {
			if over, err = time.ParseDuration(d.Over); err != nil || over < 0 {
				return invalid
			}
		}
	}
	s.Leave(over)
	respond(w, http.StatusAccepted, okReply{OK: true})
	return nil
}
