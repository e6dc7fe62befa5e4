package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

// Defaults of [Options].
const (
	DefaultSegmentSize  = 64 << 20
	DefaultMaxRecord    = 16 << 20
	DefaultMaxWaiting   = 16384
	DefaultWaitingBytes = 32 << 20
	DefaultSyncWithin   = time.Second
)

const minSegmentSize = 4096

// Options set bounds. The zero value means the defaults.
type Options struct {
	// SegmentSize is what is preallocated and deleted at once, in bytes. 0 means DefaultSegmentSize; at least 4096.
	SegmentSize int64
	// MaxRecord is how large a record may be, in bytes. 0 means DefaultMaxRecord; at most what a segment has room for.
	MaxRecord int
	// MaxWaiting is how many appends may wait at once; one more is refused with ErrBusy. 0 means DefaultMaxWaiting.
	MaxWaiting int
	// WaitingBytes is how much may wait for the next turn; more waits for its turn to wait, up to the end of its context.
	// 0 means DefaultWaitingBytes.
	WaitingBytes int
	// SyncWithin is how long after an append with InOS it is on the disk at the latest. 0 means DefaultSyncWithin.
	SyncWithin time.Duration
	// Disk stands between the journal and the operating system. Nil means this machine.
	Disk Disk
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.SegmentSize <= 0 {
		c.SegmentSize = DefaultSegmentSize
	}
	c.SegmentSize = max(c.SegmentSize, minSegmentSize) &^ (align - 1)
	if c.MaxRecord <= 0 {
		c.MaxRecord = DefaultMaxRecord
	}
	c.MaxRecord = min(c.MaxRecord, int(c.SegmentSize)-segmentHead-markSize-3*headSize)
	if c.MaxWaiting <= 0 {
		c.MaxWaiting = DefaultMaxWaiting
	}
	if c.WaitingBytes <= 0 {
		c.WaitingBytes = DefaultWaitingBytes
	}
	if c.SyncWithin <= 0 {
		c.SyncWithin = DefaultSyncWithin
	}
	if c.Disk == nil {
		c.Disk = machine{}
	}
	return c
}

// Durability is what an acknowledgement means.
type Durability uint8

const (
	// OnDisk means that the record is on the disk: it survives the loss of power.
	OnDisk Durability = iota
	// InOS means that the record was handed to the operating system: it survives the process. It is on the disk within
	// Options.SyncWithin.
	InOS
)

// Record is something to be appended that is told of its turn. All calls come from the goroutine of the journal, one after
// another and in the order of the journal, so that a state which only they change needs no more than to be readable.
type Record interface {
	// Append appends the bytes of the record to dst. An error refuses the record, and is that of [Journal.Submit]. If nothing
	// is appended there is no record, and Done comes all the same, when everything before is as durable as was asked for.
	Append(dst []byte) ([]byte, error)
	// Done follows each Append without error, once: with the position when the record is kept, or with the error why it is
	// not. Records that are kept are told in their order, those that are not then in the opposite one, so that each finds the
	// state that it left.
	Done(at Position, err error)
}

// Journal is an open journal. All methods are safe for concurrent use.
type Journal struct {
	dir      string
	options  Options
	disk     Disk
	lock     io.Closer
	key      key
	recovery Recovery
	writer   *service.Service
	kick     chan struct{} // one place: something waits for a turn

	mu      sync.Mutex // protects the following
	next    *turn
	room    chan struct{} // closed when the next turn is taken
	waiting int           // appends that have not returned
	failure error         // ErrFailed with its cause
	closed  bool

	current *segment // that is written to, the last of segments; of the writer
	end     Position // where the next record will be; of the writer
	durable Position // up to where all is on the disk; of the writer
	buf     []byte   // of the writer
	last    int      // how many records the last turn had; of the writer

	segmentsMu sync.RWMutex // protects the following
	segments   []*segment   // oldest first
}

// Recovery says what [Open] found.
type Recovery struct {
	Records int      // that are there
	Bytes   int64    // that they take
	End     Position // behind the last
	// Torn is how many bytes were cut off at End: the rest of what was being written when the process or the machine died,
	// and was not acknowledged as durable. Usually 0.
	Torn int64
}

// Stats are figures of a journal.
type Stats struct {
	Segments int
	Bytes    int64 // from the first position that is kept to the end
	Waiting  int   // appends
	Failed   bool
}

// Open opens the journal in dir, making it if there is none, and calls replay with every record that is there, oldest first.
// The bytes are replay's until it returns; its error ends Open. An end that was torn is cut off, see [Recovery]. Nil options
// mean the defaults. It fails with [ErrLocked] if a process has the directory, and with a [*DamageError] if records are
// missing or changed before the end. The caller has to Close the journal.
func Open(dir string, o *Options, replay func(at Position, record []byte) error) (*Journal, error) {
	j := &Journal{dir: dir, options: o.withDefaults(), kick: make(chan struct{}, 1), room: make(chan struct{}), next: newTurn()}
	j.disk = j.options.Disk
	var err error
	if j.lock, err = j.disk.Lock(dir); err != nil {
		return nil, fmt.Errorf("journal: lock %s: %w", dir, err)
	}
	if err := j.load(replay); err != nil {
		return nil, errors.Join(err, j.release())
	}
	j.writer = service.Start(j.run)
	return j, nil
}

// Recovery returns what Open found.
func (j *Journal) Recovery() Recovery { return j.recovery }

// Stats returns figures of this moment.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	s := Stats{Waiting: j.waiting, Failed: j.failure != nil}
	j.mu.Unlock()
	j.segmentsMu.RLock()
	defer j.segmentsMu.RUnlock()
	s.Segments = len(j.segments)
	if s.Segments > 0 {
		s.Bytes = int64(j.segments[s.Segments-1].end.Load()) - int64(j.segments[0].base)
	}
	return s
}

// MaxRecord returns how large a record may be.
func (j *Journal) MaxRecord() int { return j.options.MaxRecord }

// Append appends data and returns its position once it is as durable as d says. If the error is [ErrUncertain], data must not
// be changed any more. Other errors, but [ErrFailed], mean that it was not kept.
func (j *Journal) Append(ctx context.Context, d Durability, data []byte) (Position, error) {
	r := plain{data: data}
	err := j.Submit(ctx, d, len(data), &r)
	if err != nil {
		return 0, err
	}
	return r.at, nil
}

// plain is a record of bytes.
type plain struct {
	data []byte
	at   Position
}

// Append implements [Record].
func (p *plain) Append(dst []byte) ([]byte, error) {
	if len(p.data) == 0 {
		return dst, ErrTooLarge
	}
	return append(dst, p.data...), nil
}

// Done implements [Record].
func (p *plain) Done(at Position, _ error) { p.at = at }

// Submit appends r, of about size bytes, and returns when it is as durable as d says, or with the error that refused it. When
// ctx ends while r waits it is as if it had never been submitted; when it is being written by then the error is
// [ErrUncertain] too, and r is told later.
func (j *Journal) Submit(ctx context.Context, d Durability, size int, r Record) error {
	t, place, err := j.enter(ctx, d, size, r)
	if err != nil {
		return err
	}
	defer j.leave()
	select {
	case <-t.done:
	case <-ctx.Done():
		if j.withdraw(t, place, size) {
			return fmt.Errorf("journal: append: %w", ctx.Err())
		}
		select {
		case <-t.done: // it was in time
		default:
			return fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
		}
	}
	return t.items[place].err
}

// enter puts r into the next turn, or waits for the one behind it.
func (j *Journal) enter(ctx context.Context, d Durability, size int, r Record) (t *turn, place int, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("journal: append: %w", err)
	}
	if size > j.options.MaxRecord {
		return nil, 0, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, size, j.options.MaxRecord)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.waiting >= j.options.MaxWaiting {
		return nil, 0, ErrBusy
	}
	j.waiting++
	for {
		if err := j.refusal(); err != nil {
			j.waiting--
			return nil, 0, err
		}
		t = j.next
		if t.bytes == 0 || t.bytes+size <= j.options.WaitingBytes {
			break
		}
		if err := j.wait(ctx, j.room); err != nil {
			j.waiting--
			return nil, 0, err
		}
	}
	t.items = append(t.items, item{record: r})
	t.bytes += size
	t.sync = t.sync || d == OnDisk
	select {
	case j.kick <- struct{}{}:
	default:
	}
	return t, len(t.items) - 1, nil
}

// wait waits for room, without the lock.
func (j *Journal) wait(ctx context.Context, room <-chan struct{}) error {
	j.mu.Unlock()
	defer j.mu.Lock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("journal: wait for room: %w", ctx.Err())
	}
}

func (j *Journal) refusal() error {
	if j.closed {
		return ErrClosed
	}
	return j.failure
}

func (j *Journal) leave() {
	j.mu.Lock()
	j.waiting--
	j.mu.Unlock()
}

// withdraw takes a record back, unless its turn has come.
func (j *Journal) withdraw(t *turn, place, size int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t != j.next {
		return false
	}
	t.items[place].record = nil
	t.bytes -= size
	return true
}

// Close writes what waits, lets nothing more in, and gives the directory back. Further calls do nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	j.writer.Stop()
	if closed {
		return nil
	}
	err := j.release()
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.failure, err)
}

// release closes the files and gives the lock back.
func (j *Journal) release() (err error) {
	j.segmentsMu.Lock()
	defer j.segmentsMu.Unlock()
	for _, s := range j.segments {
		err = errors.Join(err, s.file.Close())
	}
	j.segments = nil
	return errors.Join(err, j.lock.Close())
}
