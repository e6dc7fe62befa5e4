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
func (s *Server) joinCluster(ctx context.Context, secure *peerTLS) error {
	if s.cfg.Cluster == "" {
		return nil
	}
	address := s.cfg.Advertise
	listener := s.listener
	if s.peers != nil {
		listener = s.peers.listener
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); address == "" && ok && !tcp.IP.IsUnspecified() {
		address = tcp.String()
	}
	if address == "" {
		s.log.LogAttrs(ctx, slog.LevelInfo, "the other nodes cannot reach this one, so polling clients need a load balancer with sticky sessions; say with --advertise by which address they can",
			slog.String("listen", listener.Addr().String()))
	} else if secure != nil {
		address = "https://" + address
	}
	node, err := cluster.Join(cluster.Options{Driver: s.driver, Advertise: address, TLS: secure.clientConfig(), Name: s.node, Version: Version(),
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
	// Departed are those that have left or died in the last hour, the last first.
	Departed []cluster.Change `json:"departed,omitempty"`
}

// nodes is GET /v1/nodes. A node without a cluster has no id.
func (s *Server) nodes(w http.ResponseWriter, _ *http.Request) error {
	reply := nodesReply{Nodes: []cluster.Info{{Name: s.node, Version: Version(), Started: s.started, Draining: s.leaving.Load(), Load: s.load()}}}
	if s.cluster != nil {
		reply = nodesReply{s.cluster.ID(), s.cluster.Nodes(), s.cluster.Departed()}
	}
	respond(w, http.StatusOK, reply)
	return nil
}

// fromPeers lets other nodes pass requests on to next, if they have no address of their own for that.
func (s *Server) fromPeers(next http.Handler) http.Handler {
	if s.cluster == nil || s.peers != nil {
		return next
	}
	return s.cluster.Handler(next)
}

// peerRoutes answers other nodes, at an address that is theirs.
func (s *Server) peerRoutes() http.Handler {
	mux := http.NewServeMux()
	for _, path := range socketIOPaths {
		mux.Handle(path, s.cluster.PeerHandler(s.sessions()))
	}
	return mux
}
