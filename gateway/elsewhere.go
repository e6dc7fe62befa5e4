package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/peal-dev/peal/cluster"
)

// joinCluster makes the node one that others know by its address, if there is a cluster.
func (s *Server) joinCluster(ctx context.Context) error {
	if s.cfg.Cluster == "" {
		return nil
	}
	address := s.cfg.Advertise
	if tcp, ok := s.listener.Addr().(*net.TCPAddr); address == "" && ok && !tcp.IP.IsUnspecified() {
		address = tcp.String()
	}
	if address == "" {
		s.log.LogAttrs(ctx, slog.LevelInfo, "the other nodes cannot reach this one, so polling clients need a load balancer with sticky sessions; say with --advertise by which address they can",
			slog.String("listen", s.cfg.Listen))
	}
	node, err := cluster.Join(cluster.Options{Driver: s.driver, Advertise: address, Name: s.node, Version: Version(),
		Load: s.load, MaxRelays: s.cfg.MaxConnections, Logger: s.log})
	if err != nil {
		return fmt.Errorf("join the cluster: %w", err)
	}
	s.cluster = node
	return nil
}

// load is what this node tells the others that it has to do. It may be asked before the doors are there.
func (s *Server) load() cluster.Load {
	return cluster.Load{Clients: s.admission.Stats().Connections}
}

// nodesReply is the body of GET /v1/nodes: the nodes of the cluster, those that started first before the others.
type nodesReply struct {
	Self  string         `json:"self"` // the id of the node that answers
	Nodes []cluster.Info `json:"nodes"`
}

// nodes is GET /v1/nodes. A node without a cluster has no id.
func (s *Server) nodes(w http.ResponseWriter, _ *http.Request) error {
	reply := nodesReply{Nodes: []cluster.Info{{Name: s.node, Version: Version(), Started: s.started, Draining: s.leaving.Load(), Load: s.load()}}}
	if s.cluster != nil {
		reply = nodesReply{s.cluster.ID(), s.cluster.Nodes()}
	}
	respond(w, http.StatusOK, reply)
	return nil
}

// fromPeers lets other nodes pass requests on to next.
func (s *Server) fromPeers(next http.Handler) http.Handler {
	if s.cluster == nil {
		return next
	}
	return s.cluster.Handler(next)
}
