package gateway

import (
	"net/http"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// statsReply is the body of GET /v1/stats. Counters are since the start of the node.
type statsReply struct {
	Node        string  `json:"node"`
	Connections int     `json:"connections"` // Socket.IO connections open now
	Sockets     int     `json:"sockets"`     // Socket.IO sockets in all namespaces
	Streams     int     `json:"streams"`     // event streams open now
	Rooms       int     `json:"rooms"`       // rooms with a member on this node, in all namespaces
	Broadcasts  uint64  `json:"broadcasts"`  // messages published on this node
	Delivered   uint64  `json:"delivered"`   // messages handed to members of this node
	Cluster     string  `json:"cluster"`     // what joins the node to others, such as "redis"; or "none"
	Uptime      float64 `json:"uptime_seconds"`

	// Of a cluster only: how often messages of other nodes may not have reached this one, by cause, and the last time.
	// Lost is how many messages are known not to have come.
	Gaps    map[adapter.GapCause]uint64 `json:"gaps,omitempty"`
	Lost    uint64                      `json:"lost,omitempty"`
	LastGap *gapReply                   `json:"last_gap,omitempty"`
}

// gapReply is a time in which messages of other nodes may not have reached this one.
type gapReply struct {
	Cause     adapter.GapCause `json:"cause"`
	Namespace string           `json:"namespace,omitempty"` // "" means all
	From      time.Time        `json:"from"`
	To        *time.Time       `json:"to,omitempty"` // none while it lasts
	Dropped   uint64           `json:"dropped,omitempty"`
}

// stats is GET /v1/stats.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	if !s.access.dev {
		if err := s.access.backend(r); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	io := s.io.Stats()
	reply := statsReply{Node: s.node, Connections: io.Connections, Sockets: io.Sockets, Streams: s.streams.Stats().Streams,
		Cluster: "none", Uptime: time.Since(s.started).Seconds()}
	if s.driver != nil {
		reply.Cluster = s.broker
		counters := s.driver.Stats()
		reply.Gaps, reply.Lost = counters.Gaps, counters.Lost
		if gap := counters.LastGap; gap.Cause != "" {
			reply.LastGap = &gapReply{Cause: gap.Cause, Namespace: gap.Namespace, From: gap.From, Dropped: gap.Dropped}
			if !gap.To.IsZero() {
				reply.LastGap.To = &gap.To
			}
		}
	}
	for _, name := range s.cfg.Namespaces {
		a := s.io.Of(name).Adapter()
		counters := a.Stats()
		reply.Rooms += a.RoomCount()
		reply.Broadcasts += counters.Broadcasts
		reply.Delivered += counters.Deliveries
	}
	respond(w, http.StatusOK, reply)
}
