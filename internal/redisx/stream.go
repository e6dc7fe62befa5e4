package redisx

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// MaxBlock is how long a [StreamReader] may wait for entries with one command: a connection that says nothing for longer is
// held for dead as soon as another is answered.
const MaxBlock = suspicion * 4 / 5

// EntryID is the name of an entry of a stream. Later entries have higher ones; the zero value is before all.
type EntryID struct {
	Milliseconds, Sequence uint64
}

// ParseEntryID reads an id as Redis writes it.
func ParseEntryID(s string) (EntryID, error) {
	ms, sequence, found := strings.Cut(s, "-")
	var id EntryID
	var errs [2]error
	id.Milliseconds, errs[0] = strconv.ParseUint(ms, 10, 64)
	id.Sequence, errs[1] = strconv.ParseUint(sequence, 10, 64)
	if err := errors.Join(errs[:]...); !found || err != nil {
		return EntryID{}, fmt.Errorf("redis: %.64q is no id of an entry", s)
	}
	return id, nil
}

// String returns the id as Redis writes it.
func (id EntryID) String() string {
	return strconv.FormatUint(id.Milliseconds, 10) + "-" + strconv.FormatUint(id.Sequence, 10)
}

// Less reports whether id is before other.
func (id EntryID) Less(other EntryID) bool {
	return id.Milliseconds < other.Milliseconds || id.Milliseconds == other.Milliseconds && id.Sequence < other.Sequence
}

// Field is a field of an entry and its value. The value is not to be changed.
type Field struct {
	Name  string
	Value []byte
}

// Entry is what a stream is made of.
type Entry struct {
	ID     EntryID
	Fields []Field
}

// Append is something to append to a stream, and what became of it.
type Append struct {
	Stream string
	Fields []Field
	// MaxLen is about how many entries the stream keeps: older ones go. 0 means all.
	MaxLen int
	// ID is set by Append, and Err: nil if Redis took the entry.
	ID  EntryID
	Err error
}

// Append appends the batch in its order with one round trip, and sets IDs and Errs. Otherwise it is as Publish.
func (c *Client) Append(ctx context.Context, batch []Append) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		for i := range batch {
			batch[i].Err = err
		}
		return
	}
	defer done()
	commands := make(rueidis.Commands, len(batch))
	for i := range batch {
		command := client.B().Arbitrary("XADD").Keys(batch[i].Stream)
		if batch[i].MaxLen > 0 {
			command = command.Args("MAXLEN", "~", strconv.Itoa(batch[i].MaxLen))
		}
		command = command.Args("*")
		for _, f := range batch[i].Fields {
			command = command.Args(f.Name, rueidis.BinaryString(f.Value))
		}
		commands[i] = command.Build()
	}
	answered := false
	for i, result := range client.DoMulti(ctx, commands...) {
		text, err := result.ToString()
		if err == nil {
			batch[i].ID, err = ParseEntryID(text)
		}
		batch[i].Err = c.explain("append to "+batch[i].Stream, err)
		answered = answered || err == nil || isAnswer(err)
	}
	if answered && c.missing.Load() > 0 {
		c.rouse()
	}
}

// StreamInfo is what Redis knows of a stream. A stream that is not there is like one that is empty.
type StreamInfo struct {
	// Added is how many entries were ever appended, and Newest the id of the last of them. Redis counts from version 7 on;
	// Counted says that it does.
	Added   uint64
	Counted bool
	Newest  EntryID
	// Length is how many entries there are; First and Last are zero if there are none.
	Length      uint64
	First, Last EntryID
}

// Stream asks what Redis knows of a stream.
func (c *Client) Stream(ctx context.Context, stream string) (StreamInfo, error) {
	client, err := c.connected()
	if err != nil {
		return StreamInfo{}, err
	}
	return c.info(ctx, client, stream)
}

// info asks on a connection.
func (c *Client) info(ctx context.Context, conn rueidis.CoreClient, stream string) (StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	info, err := parseInfo(conn.Do(ctx, conn.B().XinfoStream().Key(stream).Build()))
	return info, c.explain("look at "+stream, err)
}

func parseInfo(result rueidis.RedisResult) (info StreamInfo, err error) {
	values, err := result.AsMap()
	if answer, ok := rueidis.IsRedisErr(err); ok && strings.Contains(answer.Error(), "no such key") {
		return StreamInfo{Counted: true}, nil
	}
	if err != nil {
		return info, err
	}
	number := func(name string) uint64 {
		m, ok := values[name]
		n, e := m.AsInt64()
		if ok && e != nil {
			err = errors.Join(err, e)
		}
		return uint64(max(n, 0))
	}
	entry := func(name string) (id EntryID) {
		m := values[name]
		if m.IsNil() {
			return id
		}
		e, e1 := m.AsXRangeSlice()
		if e1 == nil {
			id, e1 = ParseEntryID(e.ID)
		}
		err = errors.Join(err, e1)
		return id
	}
	if _, info.Counted = values["entries-added"]; info.Counted {
		info.Added = number("entries-added")
	}
	if info.Length = number("length"); info.Length > 0 {
		info.First, info.Last = entry("first-entry"), entry("last-entry")
	}
	newest := values["last-generated-id"]
	text, e := newest.ToString()
	if e == nil {
		info.Newest, e = ParseEntryID(text)
	}
	return info, errors.Join(err, e)
}

// StreamReader is a connection that reads one stream. It is for one goroutine, but for Close.
type StreamReader struct {
	client  *Client
	library rueidis.Client
	home    string
	conn    rueidis.DedicatedClient
	release func()
	stream  string
	command struct{ count, block int64 }
	failed  func() // told of each error; it may be nil
}

// ReadStream returns a reader of up to count entries at once, which makes its connection when it is first used. It waits for
// them for block, which is MaxBlock at most. Close it.
func (c *Client) ReadStream(stream string, count int, block time.Duration) (*StreamReader, error) {
	library, err := c.connected()
	if err != nil {
		return nil, err
	}
	r := &StreamReader{client: c, library: library, home: c.primary(library), stream: stream}
	r.command.count, r.command.block = int64(count), min(block, MaxBlock).Milliseconds()
	r.conn, r.release = library.Dedicate()
	return r, nil
}

// Info asks what Redis knows of the stream.
func (r *StreamReader) Info(ctx context.Context) (StreamInfo, error) {
	info, err := r.client.info(ctx, r.conn, r.stream)
	r.tell(err)
	return info, err
}

func (r *StreamReader) tell(err error) {
	if err != nil && r.failed != nil {
		r.failed()
	}
}

// Next returns entries after an id, or none when there were none for a while. After an error the reader is of no use.
func (r *StreamReader) Next(ctx context.Context, after EntryID) ([]Entry, error) {
	entries, err := r.next(ctx, after)
	r.tell(err)
	return entries, err
}

func (r *StreamReader) next(ctx context.Context, after EntryID) ([]Entry, error) {
	// A replica that was the primary answers, and nothing new comes there.
	if now := r.client.primary(r.library); now != r.home {
		return nil, fmt.Errorf("redis: %s is the primary now, and not %s", now, r.home)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.command.block)*time.Millisecond+r.client.timeout)
	defer cancel()
	command := r.conn.B().Xread().Count(r.command.count).Block(r.command.block).Streams().Key(r.stream).Id(after.String()).Build()
	streams, err := r.conn.Do(ctx, command).AsXReadSlices()
	switch {
	case rueidis.IsRedisNil(err):
		return nil, nil
	case err != nil:
		return nil, r.client.explain("read "+r.stream, err)
	}
	return entriesOf(streams[r.stream])
}

// Close closes the connection.
func (r *StreamReader) Close() {
	r.conn.Close()
	r.release()
}

// Appendable returns why nothing can be appended to a stream now, without appending anything: Redis looks at who asks, and at
// what it has room for, before it looks at the id, which no entry can have.
func (c *Client) Appendable(ctx context.Context, stream string) error {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = client.Do(ctx, client.B().Arbitrary("XADD").Keys(stream).Args("NOMKSTREAM", "0-0", "probe", "").Build()).Error()
	if answer, ok := rueidis.IsRedisErr(err); ok && strings.Contains(answer.Error(), "must be greater than 0-0") {
		return nil
	}
	return c.explain("append to "+stream, err)
}
