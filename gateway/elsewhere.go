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
	if s.cfg.Redis == "" {
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
	node, err := cluster.Join(cluster.Options{URL: s.cfg.Redis, Key: s.cfg.RedisKey, Advertise: address, MaxRelays: s.cfg.MaxConnections, Logger: s.log})
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	s.cluster = node
	return nil
}

// fromPeers lets other nodes pass requests on to next.
func (s *Server) fromPeers(next http.Handler) http.Handler {
	if s.cluster == nil {
		return next
	}
	return s.cluster.Handler(next)
}
