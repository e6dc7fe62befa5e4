package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peal-dev/peal/internal/service"
)

// header is what is notified of a message that is too large for a notification, or has binary values: where it is.
type header struct {
	UID          string `json:"uid"`
	Namespace    string `json:"nsp"` // which Node.js nodes do not say
	AttachmentID rowID  `json:"attachmentId"`
}

// rowID is the id of a row, of which JavaScript makes a string.
type rowID int64

// UnmarshalJSON implements [json.Unmarshaler].
func (id *rowID) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil || n <= 0 {
		return fmt.Errorf("no id of a row: %.32q", b)
	}
	*id = rowID(n)
	return nil
}

// parseHeader returns the header that was notified, or nil if it is a whole message.
func parseHeader(payload string) (*header, error) {
	if !strings.Contains(payload, `"attachmentId"`) {
		return nil, nil
	}
	var h header
	if err := json.Unmarshal([]byte(payload), &h); err != nil {
		return nil, err
	}
	if h.AttachmentID == 0 {
		return nil, nil // the words are somewhere in a message
	}
	return &h, nil
}

// arrival is something that was notified, on its way through a sequence.
type arrival struct {
	to      *sequence
	row     rowID // of the attachment that it waits for
	uid     string
	since   time.Time
	payload []byte
	err     error // why there is none
	ready   bool
}

// sequence hands on what comes on a channel in the order in which it was notified: what comes behind an attachment waits
// until that was fetched. It is bounded. It is safe for concurrent use.
type sequence struct {
	fetcher          *fetcher
	maxLen, maxBytes int
	receive          func(payload []byte)                            // must not block
	lost             func(since time.Time, uid string, reason error) // one of that node will not be received
	behind           func(since time.Time, n uint64)                 // so many were dropped

	mu      sync.Mutex
	waiting []*arrival
	bytes   int
	dropped uint64    // since it is full
	full    time.Time // since when
}

var errEnded = errors.New("the server has ended the connection")

// whole takes a message.
func (s *sequence) whole(payload string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.receive([]byte(payload))
		return
	}
	s.add(&arrival{to: s, payload: []byte(payload), ready: true})
}

// attached takes a message of which the payload is to be fetched.
func (s *sequence) attached(row rowID, uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &arrival{to: s, row: row, uid: uid, since: time.Now()}
	if s.add(a) {
		s.fetcher.want(a)
	}
}

// add reports whether there was room. The caller holds s.mu.
func (s *sequence) add(a *arrival) bool {
	if n := len(s.waiting); n > 0 && (s.dropped > 0 || n >= s.maxLen || s.bytes+len(a.payload) > s.maxBytes) {
		if s.dropped == 0 {
			s.full = time.Now()
		}
		s.dropped++
		return false
	}
	s.waiting = append(s.waiting, a)
	s.bytes += len(a.payload)
	return true
}

// fetched takes the payload of an attachment, or the reason for which there is none.
func (s *sequence) fetched(a *arrival, payload []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.ready {
		return // it was there when the connection was lost
	}
	a.payload, a.err, a.ready = payload, err, true
	for len(s.waiting) > 0 && s.waiting[0].ready {
		next := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		if next.row == 0 {
			s.bytes -= len(next.payload)
		}
		if next.err != nil {
			s.lost(next.since, next.uid, next.err)
		} else {
			s.receive(next.payload)
		}
	}
	if len(s.waiting) == 0 && s.dropped > 0 {
		s.behind(s.full, s.dropped)
		s.dropped = 0
	}
}

// maxFetch is how many attachments are fetched at once.
const maxFetch = 16

// fetcher gets attachments, and removes those of all nodes that are old, on a connection of its own. It is safe for
// concurrent use.
type fetcher struct {
	server   *server
	table    string
	interval time.Duration
	warn     func(error)
	wake     chan struct{}
	loop     *service.Service

	patience time.Duration // with one batch; belongs to the goroutine

	mu     sync.Mutex
	wanted []*arrival
}

func newFetcher(s *server, table string, interval time.Duration, warn func(error)) *fetcher {
	f := &fetcher{server: s, table: table, interval: interval, warn: warn, patience: silence, wake: make(chan struct{}, 1)}
	f.loop = service.Start(func(ctx context.Context) {
		s.keep(ctx, nil, settings(s.timeout), f.serve, f.unable)
	})
	return f
}

func (f *fetcher) want(a *arrival) {
	f.mu.Lock()
	f.wanted = append(f.wanted, a)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// unable is told that there is no connection. What was removed by now is not waited for.
func (f *fetcher) unable(cause error) {
	f.mu.Lock()
	var kept, late []*arrival
	for _, a := range f.wanted {
		if time.Since(a.since) > f.interval {
			late = append(late, a)
		} else {
			kept = append(kept, a)
		}
	}
	f.wanted = kept
	f.mu.Unlock()
	for _, a := range late {
		a.to.fetched(a, nil, cause)
	}
}

func (f *fetcher) close() { f.loop.Stop() }

func (f *fetcher) serve(ctx context.Context, conn *pgconn.PgConn) error {
	clean := time.NewTimer(rand.N(f.interval)) // not all nodes at the same time
	defer clean.Stop()
	for {
		if err := f.fetchAll(ctx, conn); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.wake:
		case <-clean.C:
			if err := f.clean(ctx, conn); err != nil {
				return err
			}
			clean.Reset(f.interval)
		}
		if !quiet(conn.Conn()) {
			return errEnded
		}
	}
}

func (f *fetcher) fetchAll(ctx context.Context, conn *pgconn.PgConn) error {
	for {
		f.mu.Lock()
		batch := f.wanted[:min(len(f.wanted), maxFetch)]
		f.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		err := f.fetch(ctx, conn, batch)
		if err != nil && fatal(conn, err) {
			return err // another connection may get them
		}
		f.mu.Lock()
		clear(f.wanted[:len(batch)])
		f.wanted = f.wanted[len(batch):]
		f.mu.Unlock()
	}
}

var errNoRow = errors.New("an attachment is not there: it was removed before it could be read")

// fetch gets a batch. Those of it that it has got are marked by their payload when it fails.
func (f *fetcher) fetch(ctx context.Context, conn *pgconn.PgConn, batch []*arrival) error {
	ctx, cancel := context.WithTimeout(ctx, f.patience)
	defer cancel()
	missing := make(map[rowID][]*arrival)
	list := []byte{'{'}
	for _, a := range batch {
		if a.ready {
			continue // before the connection was lost
		}
		if len(missing) > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, int64(a.row), 10)
		missing[a.row] = append(missing[a.row], a)
	}
	list = append(list, '}')
	rows := conn.ExecParams(ctx, "SELECT id, payload FROM "+f.table+" WHERE id = ANY($1::bigint[])", [][]byte{list}, []uint32{oidText}, nil, []int16{0, 1})
	for rows.NextRow() {
		values := rows.Values()
		id, err := strconv.ParseInt(string(values[0]), 10, 64)
		if err != nil {
			continue
		}
		for _, a := range missing[rowID(id)] {
			a.to.fetched(a, bytes.Clone(values[1]), nil)
		}
		delete(missing, rowID(id))
	}
	_, err := rows.Close()
	if err != nil && fatal(conn, err) {
		// The connection may be dead, or the rows large and the way long.
		f.patience = min(2*f.patience, f.interval)
		return err
	}
	f.patience = silence
	if err == nil {
		err = errNoRow
	}
	for _, list := range missing {
		for _, a := range list {
			a.to.fetched(a, nil, err)
		}
	}
	return nil
}

// clean removes what every node has had the time to read. Each node does it, as the Node.js adapter does.
func (f *fetcher) clean(ctx context.Context, conn *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(ctx, f.server.timeout)
	defer cancel()
	milliseconds := strconv.FormatInt(f.interval.Milliseconds(), 10)
	_, err := conn.Exec(ctx, "DELETE FROM "+f.table+" WHERE created_at < now() - interval '"+milliseconds+" milliseconds'").ReadAll()
	if err != nil && fatal(conn, err) {
		return err
	}
	if err != nil {
		f.warn(err)
	}
	return nil
}
