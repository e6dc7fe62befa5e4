package streamhttp

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Topics of the store: the catalog, and those of streams, whose names are made up: a stream that is made again gets another
// one, and what was begun and not finished is in nobody's way.
const (
	catalogName = "__ds/catalog"
	topicPrefix = "__ds/stream/"
	author      = "catalog" // the producer that numbers changes
)

// Kinds of records.
const (
	opCreate = "create" // or keep: what is there already stays as it is
	opDelete = "delete"
)

// record is a change of the catalog.
type record struct {
	N    uint64 `json:"n"` // of its batch
	Op   string `json:"op"`
	Name string `json:"name"`

	Topic       string    `json:"topic"`
	ContentType string    `json:"type,omitempty"`
	TTL         *int64    `json:"ttl,omitempty"` // in seconds
	Expires     time.Time `json:"expires,omitzero"`
	Begin       string    `json:"begin,omitempty"` // where the topic begins
	Fork        *fork     `json:"fork,omitempty"`
	Soft        bool      `json:"soft,omitempty"` // deleted, with forks
}

// stream is one of the catalog.
type stream struct {
	record
	soft  bool
	begin message.Offset
	use   use
	seqs  sequences

	opening sync.Mutex // protects the following
	topic   eventlog.Topic
	parts   []part
}

// catalog knows the streams there are. Who changes it holds writing; what it knows is read from its topic.
type catalog struct {
	store eventlog.Store
	topic eventlog.Topic

	writing sync.Mutex // one change at a time

	mu       sync.Mutex // protects the following
	after    message.Offset
	next     uint64 // number of the next change
	streams  map[string]*stream
	forks    map[string]int // how many of a name there are
	records  int            // since those that were kept
	gone     []string       // topics of streams that were taken out, while deleting
	deleting bool
}

// orphaned is how old a topic of no stream is when it is deleted: a crash left it, or else its stream is just being made.
const orphaned = time.Hour

func openCatalog(ctx context.Context, store eventlog.Store) (*catalog, error) {
	t, err := store.Topic(ctx, catalogName, &eventlog.Policy{Age: -1, Count: -1, Bytes: -1})
	if err != nil {
		return nil, fmt.Errorf("streamhttp: catalog: %w", err)
	}
	c := &catalog{store: store, topic: t, streams: map[string]*stream{}, forks: map[string]int{}}
	if err := c.sync(ctx); err != nil {
		return nil, err
	}
	names, err := store.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("streamhttp: %w", err)
	}
	owned := map[string]bool{}
	for _, st := range c.all() {
		owned[st.Topic] = true
	}
	for _, name := range names {
		if !strings.HasPrefix(name, topicPrefix) || owned[name] {
			continue
		}
		t, err := store.Topic(ctx, name, nil)
		if err != nil {
			return nil, fmt.Errorf("streamhttp: %w", err)
		}
		if b, err := t.Bounds(ctx); err == nil && time.Since(time.UnixMilli(int64(b.Floor.Ms))) > orphaned {
			if err := store.Delete(ctx, name); err != nil {
				return nil, fmt.Errorf("streamhttp: %w", err)
			}
		}
	}
	return c, nil
}

// catalogBatch is how many records are read at once.
const catalogBatch = 1000

// sync reads what has changed.
func (c *catalog) sync(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		items, err := c.topic.Read(ctx, c.after, catalogBatch)
		var lost *eventlog.OffsetError
		if errors.As(err, &lost) && !c.after.IsZero() { // others have kept what is there, and trimmed the rest
			c.after, c.next, c.records = message.Offset{}, 0, 0
			c.streams, c.forks = map[string]*stream{}, map[string]int{}
			continue
		}
		if err != nil {
			return fmt.Errorf("streamhttp: catalog: %w", err)
		}
		if len(items) == 0 {
			return nil
		}
		for i := range items {
			var r record
			if err := json.Unmarshal(items[i].Data, &r); err != nil {
				return fmt.Errorf("streamhttp: catalog: the record at %s: %w", items[i].Offset, err)
			}
			c.apply(r)
			c.after = items[i].Offset
		}
	}
}

// apply carries a change out. All nodes do so alike.
func (c *catalog) apply(r record) {
	c.next = r.N + 1
	c.records++
	st := c.streams[r.Name]
	switch r.Op {
	case opCreate:
		if st != nil {
			return // it is kept
		}
		st = &stream{record: r, soft: r.Soft}
		st.begin, _ = parseOffset(r.Begin)
		st.use.touch(time.Now())
		c.streams[r.Name] = st
		if r.Fork != nil {
			c.forks[r.Fork.From]++
		}
	case opDelete:
		if st != nil && st.Topic == r.Topic {
			c.remove(st)
		}
	}
}

// remove takes a stream out, and those it was forked from whose time has come; or marks it while it has forks.
func (c *catalog) remove(st *stream) {
	if c.forks[st.Name] > 0 {
		st.soft = true
		return
	}
	delete(c.streams, st.Name)
	if c.deleting {
		c.gone = append(c.gone, st.Topic)
	}
	if st.Fork == nil {
		return
	}
	from := st.Fork.From
	if c.forks[from]--; c.forks[from] == 0 {
		delete(c.forks, from)
		if source := c.streams[from]; source != nil && source.soft {
			c.remove(source)
		}
	}
}

func (c *catalog) find(name string) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[name]
}

func (c *catalog) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// all returns the streams by name.
func (c *catalog) all() []*stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.streams), func(a, b *stream) int { return cmp.Compare(a.Name, b.Name) })
}

// collect begins or ends to note the topics of streams that are taken out, and returns those noted.
func (c *catalog) collect(deleting bool) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.gone
	c.gone, c.deleting = nil, deleting
	return gone
}

// write appends changes behind what was read. It reports false if another node was first: then decide again. Afterwards the
// changes are read. The caller holds writing.
func (c *catalog) write(ctx context.Context, records ...record) (bool, error) {
	c.mu.Lock()
	n := c.next
	c.mu.Unlock()
	b := &eventlog.Batch{Producer: author, Seq: n}
	for _, r := range records {
		r.N = n
		data, err := json.Marshal(r)
		if err != nil {
			return false, fmt.Errorf("streamhttp: catalog: %w", err)
		}
		b.Items = append(b.Items, eventlog.Item{Data: data})
	}
	a, err := c.topic.Append(ctx, b)
	if err != nil {
		return false, fmt.Errorf("streamhttp: catalog: %w", err)
	}
	if err := c.sync(ctx); err != nil {
		return false, err
	}
	return !a.Duplicate, nil
}

// delete deletes a stream, and then the topics that nobody needs any more. The caller does not hold writing.
func (c *catalog) delete(ctx context.Context, st *stream) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.collect(true)
	defer c.collect(false)
	for {
		if now := c.find(st.Name); now == nil || now.Topic != st.Topic || now.soft {
			return nil
		}
		done, err := c.write(ctx, record{Op: opDelete, Name: st.Name, Topic: st.Topic})
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	for _, topic := range c.collect(false) {
		if err := c.store.Delete(ctx, topic); err != nil {
			return fmt.Errorf("streamhttp: %w", err)
		}
	}
	return c.tidy(ctx)
}

// untidy is how many records there may be beside twice those of the streams there are.
const untidy = 1000

// tidy writes the streams there are again and forgets what came before, once that is worth it. The caller holds writing.
func (c *catalog) tidy(ctx context.Context) error {
	c.mu.Lock()
	floor, worth := c.after, c.records > 2*len(c.streams)+untidy
	var keep []record
	for _, st := range c.streams {
		r := st.record
		r.Op, r.Soft = opCreate, st.soft
		keep = append(keep, r)
	}
	c.mu.Unlock()
	if !worth {
		return nil
	}
	if len(keep) == 0 {
		keep = []record{{Op: opDelete}} // for its number
	}
	for part := range slices.Chunk(keep, catalogBatch) {
		if done, err := c.write(ctx, part...); err != nil || !done {
			return err // another time
		}
	}
	if err := c.topic.Trim(ctx, floor); err != nil {
		return fmt.Errorf("streamhttp: catalog: %w", err)
	}
	c.mu.Lock()
	c.records = len(keep)
	c.mu.Unlock()
	return nil
}

func newTopicName() string { return topicPrefix + strings.ToLower(rand.Text()) }
