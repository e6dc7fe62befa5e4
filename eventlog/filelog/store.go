package filelog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/internal/ledger"
	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/message"
)

// Defaults of [Options].
const (
	DefaultBytes       = 4 << 30
	DefaultSegmentSize = journal.DefaultSegmentSize
	DefaultMaxBatch    = 16 << 20
	DefaultMaxWaiting  = journal.DefaultMaxWaiting
)

// Options are those of a [Store]. The zero value means the defaults.
type Options struct {
	// Bytes is how much the directory may take, about. When it is reached and nothing can be deleted, appends are refused with
	// ErrStoreFull. 0 means DefaultBytes; at least four segments.
	Bytes int64
	// SegmentSize is in which pieces the disk is taken and given back, in bytes. 0 means DefaultSegmentSize. The keys and
	// producers of a topic have to fit into a half of one; with less than 48 MiB that may be fewer keys than MaxKeys.
	SegmentSize int64
	// MaxBatch is how large a batch may be, in bytes. 0 means DefaultMaxBatch; at most a half of a segment.
	MaxBatch int
	// MaxWaiting is how many appends may wait for the disk at once. 0 means DefaultMaxWaiting.
	MaxWaiting int

	disk journal.Disk // of tests
}

// keepEvery is how often a store looks for what has to go.
const keepEvery = 5 * time.Second

// Store is an [eventlog.Store] in a directory. [Open] makes one. All methods are safe for concurrent use.
type Store struct {
	dir     string
	options Options
	journal *journal.Journal
	keeper  *service.Service
	full    chan struct{} // one place: somebody found no room

	mu     sync.Mutex // protects the following
	topics map[string]*topic
	latest message.Offset                             // of all topics there have been
	early  map[string][]ledger.Past[journal.Position] // batches that are read before the state of their topic, while it is opened
	closed bool
}

var _ eventlog.Store = (*Store)(nil)

// Recovery says what [Open] found.
type Recovery struct {
	Records int   // of the journal
	Bytes   int64 // that they take
	// Torn is how many bytes were cut off at the end: what was being written when the process or the machine died, and was
	// not acknowledged as durable.
	Torn int64
}

// Stats are figures of a store, for metrics.
type Stats struct {
	Topics   int
	Bytes    int64 // of the journal
	Segments int
	Waiting  int  // appends
	Failed   bool // it has to be opened again
}

// DamageError says where the files of a store are damaged. Found with errors.As. [Salvage] saves the rest.
type DamageError struct {
	Segment string // name of the file
	Offset  int64  // in the file, in bytes
	Reason  string
}

// Error names the file and the place.
func (e *DamageError) Error() string {
	return fmt.Sprintf("filelog: %s is damaged at byte %d: %s; Salvage saves the rest", e.Segment, e.Offset, e.Reason)
}

// ErrLocked says that another process has the directory.
var ErrLocked = errors.New("filelog: another process uses the directory")

func (o *Options) journal() *journal.Options {
	return &journal.Options{SegmentSize: o.SegmentSize, MaxRecord: int(o.SegmentSize), MaxWaiting: o.MaxWaiting, Disk: o.disk}
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.SegmentSize <= 0 {
		c.SegmentSize = DefaultSegmentSize
	}
	if c.Bytes <= 0 {
		c.Bytes = DefaultBytes
	}
	c.Bytes = max(c.Bytes, 4*c.SegmentSize)
	if c.MaxBatch <= 0 {
		c.MaxBatch = DefaultMaxBatch
	}
	c.MaxBatch = min(c.MaxBatch, int(c.SegmentSize/2))
	return c
}

// Open opens the store in a directory, making it if there is none. Nil options mean the defaults. It fails with ErrLocked if a
// process has the directory, and with a [*DamageError] if something is missing or changed before the end of its files. The
// caller has to Close it.
func Open(dir string, o *Options) (*Store, error) {
	s := &Store{dir: dir, options: o.withDefaults(), topics: map[string]*topic{}, full: make(chan struct{}, 1), early: map[string][]ledger.Past[journal.Position]{}}
	j, err := journal.Open(dir, s.options.journal(), s.replay)
	if err != nil {
		return nil, fmt.Errorf("filelog: open %s: %w", dir, translate(err))
	}
	s.journal = j
	s.early = nil // of topics that were deleted
	for _, t := range s.topics {
		t.Settle()
		t.Topic.Trim(message.Offset{}, time.Now())
	}
	s.keeper = service.Start(s.keep)
	return s, nil
}

// Salvaged says what [Salvage] found.
type Salvaged struct {
	Records int   // that were saved
	Lost    int64 // bytes of the damaged files in which none were found
}

// Salvage saves what is whole of a damaged store in one directory into another, in which there must be none, and changes
// nothing in the first.
func Salvage(ctx context.Context, from, to string, o *Options) (Salvaged, error) {
	options := o.withDefaults()
	found, err := journal.Salvage(ctx, from, to, options.journal())
	saved := Salvaged{Records: found.Records}
	for _, r := range found.Lost {
		saved.Lost += int64(r.To - r.From)
	}
	if err != nil {
		return saved, fmt.Errorf("filelog: salvage %s: %w", from, translate(err))
	}
	return saved, nil
}

// translate gives an error of the journal the names of this half of the house.
func translate(err error) error {
	var damage *journal.DamageError
	if errors.As(err, &damage) {
		return &DamageError{Segment: damage.Segment, Offset: damage.Offset, Reason: damage.Reason}
	}
	for of, name := range map[error]error{
		journal.ErrFull: eventlog.ErrStoreFull, journal.ErrBusy: eventlog.ErrStoreBusy, journal.ErrFailed: eventlog.ErrStoreFailed,
		journal.ErrClosed: eventlog.ErrStoreClosed, journal.ErrUncertain: eventlog.ErrUncertain, journal.ErrTooLarge: eventlog.ErrInvalid,
		journal.ErrLocked: ErrLocked,
	} {
		if errors.Is(err, of) {
			return fmt.Errorf("%w: %w", name, err)
		}
	}
	return err
}

// Recovery returns what Open found.
func (s *Store) Recovery() Recovery {
	r := s.journal.Recovery()
	return Recovery{Records: r.Records, Bytes: r.Bytes, Torn: r.Torn}
}

// Stats returns figures of this moment.
func (s *Store) Stats() Stats {
	j := s.journal.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Topics: len(s.topics), Bytes: j.Bytes, Segments: j.Segments, Waiting: j.Waiting, Failed: j.Failed}
}

// Topic implements [eventlog.Store].
func (s *Store) Topic(ctx context.Context, name string, p *eventlog.Policy) (eventlog.Topic, error) {
	if err := eventlog.CheckName("topic", name); err != nil {
		return nil, err
	}
	for {
		t, err := s.find(name)
		if err != nil {
			return nil, err
		}
		if t != nil && (p == nil || p.WithDefaults() == t.Policy()) {
			return t, nil
		}
		r := &statement{s: s, name: name, policy: p}
		err = s.journal.Submit(ctx, journal.OnDisk, 0, r)
		if errors.Is(err, eventlog.ErrDeleted) {
			continue // one of that name is just being deleted; then there is none
		}
		if err != nil {
			return nil, fmt.Errorf("filelog: topic %q: %w", name, translate(err))
		}
		return r.t, nil
	}
}

// find returns the topic of a name, or nil.
func (s *Store) find(name string) (*topic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, eventlog.ErrStoreClosed
	}
	return s.topics[name], nil
}

// Delete implements [eventlog.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	t, err := s.find(name)
	if err != nil || t == nil {
		return err
	}
	if err := s.journal.Submit(ctx, journal.OnDisk, 0, &deletion{t: t}); err != nil {
		return fmt.Errorf("filelog: delete topic %q: %w", name, translate(err))
	}
	return nil
}

// Topics implements [eventlog.Store].
func (s *Store) Topics(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, eventlog.ErrStoreClosed
	}
	return slices.Sorted(maps.Keys(s.topics)), nil
}

// all returns the topics.
func (s *Store) all() []*topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.topics))
}

// Close implements [eventlog.Store]. What is being appended is finished.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.keeper.Stop()
	err := s.journal.Close()
	for _, t := range s.all() {
		t.Leave(eventlog.ErrStoreClosed)
	}
	if err != nil {
		return fmt.Errorf("filelog: close %s: %w", s.dir, translate(err))
	}
	return nil
}

// reached notes the top of a topic.
func (s *Store) reached(o message.Offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest.Compare(o) < 0 {
		s.latest = o
	}
}

// add makes a topic known, or another one unknown, on the goroutine of the journal.
func (s *Store) add(t *topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[t.name] = t
}

func (s *Store) remove(t *topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[t.name] == t {
		delete(s.topics, t.name)
	}
}

// restore makes a topic of its state, and of what has come before that while the journal is read: the state may have been
// written again behind batches, whose own beginning was deleted.
func (s *Store) restore(name string, state ledger.State) *topic {
	t := &topic{Topic: ledger.Restore[journal.Position](state), s: s, name: name}
	for _, past := range s.early[name] {
		t.Replay(ledger.Past[journal.Position]{Span: past.Span}) // who appended it is in the state
	}
	delete(s.early, name)
	s.topics[name] = t
	return t
}
