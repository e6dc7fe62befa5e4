package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/service"
)

// maxBatch and maxBatchBytes are how much shares a transaction at most.
const (
	maxBatch      = 256
	maxBatchBytes = 1 << 20
)

// maxNotify is how many bytes a notification may have: PostgreSQL takes fewer than 8000.
const maxNotify = 7999

// publication is what is published on a channel. Without a header the payload is notified. With one, the payload goes into
// the table of attachments, and notified is the header, the row's id behind it, and what closes both.
type publication struct {
	channel         string
	payload, header []byte
}

func (p *publication) size() int { return len(p.channel) + len(p.payload) + len(p.header) }

// publisher sends what is given to it in order, on one connection: a goroutine takes all that waits and sends it in one
// transaction, large payloads in their place among the others.
type publisher struct {
	server *server
	table  string
	warn   func(error) // what stands in the way of large messages
	ascii  atomic.Bool // the database has no letters for other text
	queue  chan *job
	posted atomic.Int64 // bytes that wait and nobody waits for
	loop   *service.Service

	// What follows belongs to the goroutine.
	batch   []*job         // to be sent
	seen    map[uint64]int // how often a payload is in the transaction, by its hash
	seed    maphash.Seed
	ensured bool // the table was there, and what needs it is prepared
}

// job is a publication on its way, and the caller's waiting for it.
type job struct {
	publication
	spaces    int        // behind the payload
	result    chan error // nil if nobody waits
	deadline  time.Time
	abandoned atomic.Bool
}

// text is what is notified.
func (j *job) text() []byte {
	if j.spaces == 0 {
		return j.payload
	}
	return append(append(make([]byte, 0, len(j.payload)+j.spaces), j.payload...), strings.Repeat(" ", j.spaces)...)
}

var jobs = sync.Pool{New: func() any { return &job{result: make(chan error, 1)} }}

// maxPosted is how many bytes may wait that nobody waits for: the answers to other nodes' questions, which may be large.
const maxPosted = 64 << 20

func newPublisher(s *server, table string, size int, warn func(error)) *publisher {
	p := &publisher{server: s, table: table, warn: warn, queue: make(chan *job, size), seen: make(map[uint64]int), seed: maphash.MakeSeed()}
	p.loop = service.Start(func(ctx context.Context) {
		s.keep(ctx, nil, settings(s.timeout), p.serve, p.unable)
	})
	return p
}

// publish returns when the server has the publication, or with an error within about twice the timeout.
func (p *publisher) publish(ctx context.Context, what publication) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := jobs.Get().(*job)
	j.publication, j.deadline = what, time.Now().Add(p.server.timeout)
	select {
	case p.queue <- j:
	default:
		if err := p.wait(ctx, j); err != nil {
			return err
		}
	}
	select {
	case err := <-j.result:
		j.publication = publication{}
		jobs.Put(j)
		return err
	case <-ctx.Done():
		// If it is still in the queue it will not be sent. The job is not used again: its result may come yet.
		j.abandoned.Store(true)
		return ctx.Err()
	case <-p.loop.Done():
		return adapter.ErrClosed
	}
}

// wait puts j into a queue that is full, if there is room soon.
func (p *publisher) wait(ctx context.Context, j *job) error {
	// Half, for when the server hangs the queue moves on after the whole: the truth then is that too much waits.
	timer := time.NewTimer(p.server.timeout / 2)
	defer timer.Stop()
	select {
	case p.queue <- j:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: the queue of %d is full", adapter.ErrOverloaded, cap(p.queue))
	case <-ctx.Done():
		return ctx.Err()
	case <-p.loop.Done():
		return adapter.ErrClosed
	}
}

// post sends a publication for which nobody waits. It reports false if too much waits.
func (p *publisher) post(what publication) bool {
	size := int64(what.size())
	if total := p.posted.Add(size); total > maxPosted && total > size {
		p.posted.Add(-size)
		return false
	}
	select {
	case p.queue <- &job{publication: what, deadline: time.Now().Add(p.server.timeout)}:
		return true
	default:
		p.posted.Add(-size)
		return false
	}
}

func (p *publisher) close() { p.loop.Stop() }

// unable is told that there is no connection. What waits may wait longer, for as long as it may.
func (p *publisher) unable(err error) {
	p.take(cap(p.queue))
	p.batch = p.current(p.batch, err)
}

// current returns the jobs that are still to be done, and fails those that have waited too long.
func (p *publisher) current(list []*job, cause error) []*job {
	now := time.Now()
	kept := list[:0]
	for _, j := range list {
		switch {
		case j.abandoned.Load():
		case now.After(j.deadline):
			p.finish(j, unavailable(cause))
		default:
			kept = append(kept, j)
		}
	}
	clear(list[len(kept):])
	return kept
}

var (
	errWaited = errors.New("waited too long to be published")
	errEnded  = errors.New("the server has ended the connection")
)

func unavailable(cause error) error {
	// Not wrapped: a deadline in it is the connection's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, cause)
}

func (p *publisher) finish(j *job, err error) {
	if j.result == nil {
		p.posted.Add(-int64(j.size()))
		return
	}
	j.result <- err
}

const (
	notifyStatement = "notify"
	attachStatement = "attach"
)

// serve uses a connection until it fails.
func (p *publisher) serve(ctx context.Context, conn *pgconn.PgConn) error {
	bounded, cancel := context.WithTimeout(ctx, p.server.timeout)
	_, err := conn.Prepare(bounded, notifyStatement, "SELECT pg_catalog.pg_notify($1, $2)", nil)
	cancel()
	if err != nil {
		return err
	}
	p.ascii.Store(!anyText(conn.ParameterStatus("server_encoding")))
	p.ensured = false
	if err := p.ensure(ctx, conn); err != nil {
		if fatal(conn, err) {
			return err
		}
		p.warn(err)
	}
	for {
		if len(p.batch) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case j := <-p.queue:
				p.batch = append(p.batch, j)
			}
			if !quiet(conn.Conn()) {
				return errEnded
			}
		}
		rest := p.collect()
		sent := len(p.batch) - len(rest)
		err := p.send(ctx, conn, p.batch[:sent])
		n := copy(p.batch, rest)
		clear(p.batch[n:])
		p.batch = p.batch[:n]
		if err != nil {
			return err
		}
	}
}

// anyText reports whether a database of that encoding takes any Unicode text in a notification. In another, text with
// letters beyond ASCII goes into the table, where it is bytes.
func anyText(encoding string) bool { return encoding == "UTF8" || encoding == "SQL_ASCII" }

// collect adds what else waits to the batch, without what was given up and what has waited too long, and returns what of it
// is too much for one transaction.
func (p *publisher) collect() (rest []*job) {
	p.take(maxBatch)
	p.batch = p.current(p.batch, errWaited)
	clear(p.seen)
	size := 0
	for i, j := range p.batch {
		size += j.size()
		if i == maxBatch || i > 0 && size > maxBatchBytes || !p.distinct(j) {
			return p.batch[i:]
		}
	}
	return nil
}

// distinct reports whether j can be told from all others in the transaction: what is notified twice in one, PostgreSQL
// delivers once. JSON may have spaces behind it.
func (p *publisher) distinct(j *job) bool {
	if j.header != nil {
		return true
	}
	var h maphash.Hash
	h.SetSeed(p.seed)
	_, _ = h.WriteString(j.channel)
	_, _ = h.Write(j.payload)
	sum := h.Sum64()
	j.spaces = p.seen[sum]
	p.seen[sum]++
	return len(j.payload)+j.spaces <= maxNotify
}

// take adds what waits to the batch, up to so many.
func (p *publisher) take(most int) {
	for len(p.batch) < most {
		select {
		case j := <-p.queue:
			p.batch = append(p.batch, j)
		default:
			return
		}
	}
}

// send publishes a batch and tells those who wait. An error means that the connection is of no use any more.
func (p *publisher) send(ctx context.Context, conn *pgconn.PgConn, batch []*job) error {
	if len(batch) == 0 {
		return nil
	}
	err := p.transact(ctx, conn, batch)
	if p.ensured && code(err) == noTable {
		p.ensured = false // it was there before
		err = p.transact(ctx, conn, batch)
	}
	if err != nil && len(batch) > 1 && !fatal(conn, err) {
		// Nothing of it was published. One of them is at fault, and the others shall not suffer from it.
		for i := range batch {
			if err := p.send(ctx, conn, batch[i:i+1]); err != nil {
				for _, j := range batch[i+1:] {
					p.finish(j, p.explain(ctx, err))
				}
				return err
			}
		}
		return nil
	}
	explained := p.explain(ctx, err)
	for _, j := range batch {
		p.finish(j, explained)
	}
	if err != nil && fatal(conn, err) {
		return err
	}
	return nil
}

// The codes of errors that mean something to those who publish.
const (
	queueFull  = "54000" // program_limit_exceeded
	badText    = "22"    // the class of data exceptions
	noTable    = "42P01"
	notAllowed = "42501"
	tableThere = "42P07"
	twice      = "23505" // somebody else makes the same table just now
)

// code returns the code of the server's error, "" for another error.
func code(err error) string {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// explain says what an error of the server means for those who publish.
func (p *publisher) explain(ctx context.Context, err error) error {
	switch code := code(err); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return adapter.ErrClosed
	case code == queueFull:
		return fmt.Errorf("%w: %v", adapter.ErrOverloaded, err)
	case strings.HasPrefix(code, badText):
		return fmt.Errorf("postgres: publish: %w", err)
	case code == noTable, code == notAllowed:
		return fmt.Errorf("%w: the table %s, which large messages need: %v", adapter.ErrUnavailable, p.table, err)
	}
	return unavailable(err)
}

// transact publishes a batch whole, or nothing of it.
func (p *publisher) transact(ctx context.Context, conn *pgconn.PgConn, batch []*job) error {
	ctx, cancel := context.WithTimeout(ctx, p.server.timeout)
	defer cancel()
	if !p.ensured && slices.ContainsFunc(batch, func(j *job) bool { return j.header != nil }) {
		if err := p.ensure(ctx, conn); err != nil {
			return err
		}
	}
	pipeline := conn.StartPipeline(ctx)
	for _, j := range batch {
		if j.header == nil {
			pipeline.SendQueryPrepared(notifyStatement, [][]byte{[]byte(j.channel), j.text()}, nil, nil)
		} else {
			pipeline.SendQueryPrepared(attachStatement, [][]byte{[]byte(j.channel), j.header, j.payload}, []int16{0, 0, 1}, nil)
		}
	}
	if err := pipeline.Sync(); err != nil {
		return errors.Join(err, pipeline.Close())
	}
	return pipeline.Close()
}
