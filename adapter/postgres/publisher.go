package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/service"
)

// maxNotify is how many bytes a notification may have: PostgreSQL takes fewer than 8000.
const maxNotify = 7999

// publication is what is published on a channel. Without a header the payload is notified. With one, the payload goes into
// the table of attachments, and notified is the header, the row's id behind it, and what closes both.
type publication struct {
	channel         string
	payload, header []byte
	spaces          int // behind the payload

	link *nodecluster.Link // which counts it; nil if nobody does
	kind nodewire.Type
	make func() *nodewire.Message // makes the message, of a beat
	told func(error)
}

// count has be counted what was published, or may have been.
func (p *publication) count(err error) {
	switch {
	case p.told != nil:
		p.told(err)
	case code(err) != "": // the server has refused it
	case p.link != nil:
		p.link.Sent(p.kind, numbers.All, p.payload, err)
	}
}

// text is what is notified.
func (p *publication) text() []byte {
	if p.spaces == 0 {
		return p.payload
	}
	return append(append(make([]byte, 0, len(p.payload)+p.spaces), p.payload...), strings.Repeat(" ", p.spaces)...)
}

// publisherOptions are what a publisher needs.
type publisherOptions struct {
	server *server
	table  string
	size   int         // of the queue
	self   string      // a channel for what is only to be taken
	warn   func(error) // told what stands in the way of large messages
	// again is called with what publishes on self, when there is a connection again.
	again func(publish func() error) error
}

// publisher sends what is given to it in order, on one connection: all that waits in one transaction, large payloads in
// their place among the others.
type publisher struct {
	publisherOptions
	outbox *outbox.Outbox[publication]
	ascii  atomic.Bool // the database has no letters for other text

	// What follows belongs to flush.
	conn    *publishing // nil while there is none
	backoff service.Backoff
	seen    map[uint64]int // how often a payload is in the transaction, by its hash
	seed    maphash.Seed
}

// publishing is a connection that publishes.
type publishing struct {
	*pgconn.PgConn
	table   string
	ensured bool // the table was there, and what needs it is prepared
}

func newPublisher(opts publisherOptions) *publisher {
	p := &publisher{publisherOptions: opts, backoff: newBackoff(), seen: make(map[uint64]int), seed: maphash.MakeSeed()}
	p.outbox = outbox.New(outbox.Options[publication]{Size: opts.size, Timeout: opts.server.timeout, Flush: p.flush,
		First: func(what *publication) bool { return what.make != nil }})
	return p
}

// forNobody returns what the server takes and no node reads.
func (p *publisher) forNobody() publication {
	return publication{channel: p.self, payload: []byte("{}")}
}

// publish returns when the server has the publication, or with an error within about twice the timeout.
func (p *publisher) publish(ctx context.Context, what publication) error {
	_, err := p.outbox.Send(ctx, what, len(what.payload))
	return err
}

// post sends a publication for which nobody waits. It fails if too much waits.
func (p *publisher) post(what publication) error { return p.outbox.Post(what, len(what.payload)) }

func (p *publisher) close() {
	p.outbox.Close()
	p.drop()
}

func (p *publisher) drop() {
	if p.conn != nil {
		discard(p.conn.PgConn)
		p.conn = nil
	}
}

func unavailable(cause error) error {
	// Not wrapped: a deadline in it is the connection's own and none of the caller's context.
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, cause)
}

type items = []*outbox.Item[publication]

func fail(batch items, err error) {
	for _, item := range batch {
		item.Err = err
	}
}

// flush sends a batch. While there is no connection it tries to make one, for as long as the timeout.
func (p *publisher) flush(ctx context.Context, batch items) {
	ctx, cancel := context.WithTimeout(ctx, p.server.timeout)
	defer cancel()
	if p.conn != nil && !quiet(p.conn.Conn()) {
		p.drop()
	}
	if first := &batch[0].Value; first.make != nil && !p.beat(first) {
		batch = batch[1:]
	}
	for len(batch) > 0 {
		if err := p.connect(ctx); err != nil {
			fail(batch, unavailable(err))
			return
		}
		n := p.distinct(batch)
		p.send(ctx, batch[:n])
		batch = batch[n:]
	}
}

// beat makes the message, now that it is known what became of all before it. It reports false if there is none.
func (p *publisher) beat(what *publication) bool {
	m := what.make()
	if m == nil {
		return false
	}
	made, err := p.encode(what.channel, m)
	if err != nil {
		what.told(err)
		return false
	}
	what.payload, what.header = made.payload, made.header
	return true
}

// The statements that are prepared.
const (
	notifyStatement = "notify"
	attachStatement = "attach"
)

// connect returns when there is a connection, or with the reason for which there was none until ctx ended.
func (p *publisher) connect(ctx context.Context) error {
	for p.conn == nil {
		conn, err := p.open(ctx)
		if err == nil {
			p.adopt(conn)
			break
		}
		if !service.Pause(ctx, p.backoff.Next()) {
			return err
		}
	}
	return nil
}

// adopt publishes on conn from now on.
func (p *publisher) adopt(conn *publishing) {
	p.backoff.Reset()
	p.conn = conn
	p.ascii.Store(!anyText(conn.ParameterStatus("server_encoding")))
}

// open makes a connection on which something was published.
func (p *publisher) open(ctx context.Context) (*publishing, error) {
	conn, err := p.server.connect(ctx, nil, settings(p.server.timeout))
	if err != nil {
		return nil, err
	}
	c := &publishing{PgConn: conn, table: p.table}
	if err := p.prepare(ctx, c); err != nil {
		discard(conn)
		return nil, err
	}
	return c, nil
}

func (p *publisher) prepare(ctx context.Context, c *publishing) error {
	if _, err := c.Prepare(ctx, notifyStatement, "SELECT pg_catalog.pg_notify($1, $2)", nil); err != nil {
		return err
	}
	if err := c.ensure(ctx); err != nil {
		if fatal(c.PgConn, err) {
			return err
		}
		p.warn(err)
	}
	return p.again(func() error {
		what := p.forNobody()
		_, err := c.ExecPrepared(ctx, notifyStatement, [][]byte{[]byte(what.channel), what.payload}, nil, nil).Close()
		return err
	})
}

// anyText reports whether a database of that encoding takes any Unicode text in a notification. In another, text with
// letters beyond ASCII goes into the table, where it is bytes.
func anyText(encoding string) bool { return encoding == "UTF8" || encoding == "SQL_ASCII" }

// distinct returns how many of a batch can be told from each other: what is notified twice in one transaction, PostgreSQL
// delivers once. JSON may have spaces behind it.
func (p *publisher) distinct(batch items) int {
	clear(p.seen)
	for i, item := range batch {
		what := &item.Value
		if what.header != nil {
			continue
		}
		var h maphash.Hash
		h.SetSeed(p.seed)
		_, _ = h.WriteString(what.channel)
		_, _ = h.Write(what.payload)
		sum := h.Sum64()
		what.spaces = p.seen[sum]
		p.seen[sum]++
		if len(what.payload)+what.spaces > maxNotify {
			what.spaces = 0
			return max(i, 1)
		}
	}
	return len(batch)
}

// send publishes a batch in one transaction. There is a connection when it is called, and may be none afterwards.
func (p *publisher) send(ctx context.Context, batch items) {
	err := p.attempt(ctx, batch)
	if p.conn != nil && p.conn.ensured && code(err) == noTable {
		p.conn.ensured = false // it was there before
		err = p.attempt(ctx, batch)
	}
	if code(err) == "" || len(batch) == 1 {
		fail(batch, p.explain(err))
		for _, item := range batch {
			item.Value.count(err)
		}
		return
	}
	// Nothing of it was published. One of them is at fault, and the others shall not suffer from it.
	for i := range batch {
		if err := p.connect(ctx); err != nil {
			fail(batch[i:], unavailable(err))
			return
		}
		p.send(ctx, batch[i:i+1])
	}
}

// attempt publishes a batch whole, or nothing of it. When the server does not answer for a while, another connection is
// made; if one can publish on that, the first is dead, whatever the network says of it.
func (p *publisher) attempt(ctx context.Context, batch items) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rival := make(chan *publishing, 1)
	suspicion := time.AfterFunc(silence, func() { // waited for below
		conn, err := p.open(ctx)
		if err == nil {
			_ = p.conn.Conn().Close()
		}
		rival <- conn
	})
	err := p.conn.transact(ctx, batch)
	if suspicion.Stop() {
		rival <- nil
	}
	cancel()
	conn := <-rival
	if err != nil && fatal(p.conn.PgConn, err) {
		err = unavailable(err) // no refusal: whether it was published is not known
		p.drop()
	}
	if conn != nil {
		p.drop()
		p.adopt(conn)
	}
	return err
}

// The codes of errors that mean something here.
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
func (p *publisher) explain(err error) error {
	switch code := code(err); {
	case err == nil, errors.Is(err, adapter.ErrUnavailable):
		return err
	case code == queueFull:
		return fmt.Errorf("%w: %v", adapter.ErrOverloaded, err)
	case strings.HasPrefix(code, badText):
		return fmt.Errorf("postgres: publish: %w", err)
	case code == noTable, code == notAllowed:
		return fmt.Errorf("%w: the table %s, which large messages need: %v", adapter.ErrUnavailable, p.table, err)
	}
	return unavailable(err)
}

func (c *publishing) transact(ctx context.Context, batch items) error {
	if !c.ensured && slices.ContainsFunc(batch, func(item *outbox.Item[publication]) bool { return item.Value.header != nil }) {
		if err := c.ensure(ctx); err != nil {
			return err
		}
	}
	pipeline := c.StartPipeline(ctx)
	for _, item := range batch {
		if what := &item.Value; what.header == nil {
			pipeline.SendQueryPrepared(notifyStatement, [][]byte{[]byte(what.channel), what.text()}, nil, nil)
		} else {
			pipeline.SendQueryPrepared(attachStatement, [][]byte{[]byte(what.channel), what.header, what.payload}, []int16{0, 0, 1}, nil)
		}
	}
	return errors.Join(pipeline.Sync(), pipeline.Close())
}
