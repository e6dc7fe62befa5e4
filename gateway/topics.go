package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/filelog"
	"github.com/peal-dev/peal/eventlog/memlog"
	"github.com/peal-dev/peal/eventlog/streamhttp"
)

var topicMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete}

// topics are the durable streams of a node. A nil one has none.
type topics struct {
	store   eventlog.Store
	files   *filelog.Store // nil if they are in memory
	handler *streamhttp.Handler
}

// openTopics opens what Config.Data says, or returns nil if the node has no topics.
func (s *Server) openTopics(ctx context.Context) (*topics, error) {
	t := new(topics)
	switch {
	case s.cfg.Data != "":
		files, err := filelog.Open(s.cfg.Data, nil)
		if errors.Is(err, filelog.ErrLocked) {
			return nil, fmt.Errorf("--data %s: another node has this directory; give each its own: %w", s.cfg.Data, err)
		}
		if err != nil {
			return nil, fmt.Errorf("--data %s: %w", s.cfg.Data, err)
		}
		if r := files.Recovery(); r.Torn > 0 {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the end of the topics' files was torn: what was being written when the node died, and was not acknowledged, is cut off", slog.Int64("bytes", r.Torn))
		}
		t.store, t.files = files, files
	case s.cfg.Dev && s.cfg.Cluster == "":
		t.store = memlog.New()
	default:
		return nil, nil
	}
	var err error
	t.handler, err = streamhttp.New(ctx, t.store, &streamhttp.Options{MaxBody: s.cfg.MaxBody, MaxReaders: s.cfg.MaxConnections, KeepAlive: s.cfg.KeepAlive, Logger: s.log,
		OnError: func(r *http.Request, e *streamhttp.Error) { s.requestRefused(r, &apiError{e.Code, e.Message}) }})
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// shutdown answers those who wait.
func (t *topics) shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.handler.Shutdown(ctx)
}

func (t *topics) close() error {
	if t == nil {
		return nil
	}
	return t.store.Close()
}

var errTopicsOff = &apiError{CodeTopicsOff, "this node keeps no topics; start it with --data DIR"}

// topicStreams is everything below /v1/stream/.
func (s *Server) topicStreams(w http.ResponseWriter, r *http.Request) {
	if err := s.access.backend(r); err != nil {
		s.fail(w, r, err)
		return
	}
	if s.topics == nil {
		s.fail(w, r, errTopicsOff)
		return
	}
	s.topics.handler.ServeHTTP(w, r)
}

// topicReply is one topic of GET /v1/topics.
type topicReply struct {
	Name        string     `json:"name"`
	ContentType string     `json:"content_type"`
	NextOffset  string     `json:"next_offset"`
	Closed      bool       `json:"closed"`
	TTL         float64    `json:"ttl_seconds,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Items       int        `json:"items"`
	Bytes       int        `json:"bytes"`
}

// maxTopicsListed is how many topics are listed at once.
const maxTopicsListed = 1000

// listTopics is GET /v1/topics: by name, behind ?after=.
func (s *Server) listTopics(w http.ResponseWriter, r *http.Request) error {
	if s.topics == nil {
		return errTopicsOff
	}
	infos, err := s.topics.handler.List(r.Context(), r.URL.Query().Get("after"), maxTopicsListed)
	if err != nil {
		return err
	}
	reply := struct {
		Topics []topicReply `json:"topics"`
		More   bool         `json:"more"`
	}{Topics: []topicReply{}, More: len(infos) == maxTopicsListed}
	for _, i := range infos {
		t := topicReply{Name: i.Name, ContentType: i.ContentType, NextOffset: i.NextOffset, Closed: i.Closed, TTL: i.TTL.Seconds(), Items: i.Items, Bytes: i.Bytes}
		if !i.Expires.IsZero() {
			t.Expires = &i.Expires
		}
		reply.Topics = append(reply.Topics, t)
	}
	respond(w, http.StatusOK, reply)
	return nil
}

// collect sends the figures of topics.
func (t *topics) collect(gauge func(*prometheus.Desc, int, ...string), count func(*prometheus.Desc, uint64, ...string), byReason func(*prometheus.Desc, map[string]uint64)) {
	if t == nil {
		return
	}
	st := t.handler.Stats()
	gauge(topicsKept, st.Topics)
	gauge(topicReaders, st.Readers)
	count(topicAppends, st.Appends, "taken")
	count(topicAppends, st.Duplicates, "duplicate")
	count(topicItems, st.Items)
	count(topicExpired, st.Expired)
	byReason(topicRefused, st.Refused)
	if t.files != nil {
		files := t.files.Stats()
		gauge(topicBytes, int(files.Bytes))
		gauge(topicWaiting, files.Waiting)
		gauge(topicFailed, oneIf(files.Failed))
	}
}
