package redisx

import (
	"context"
	"strconv"
	"time"
	"unsafe"

	"github.com/redis/rueidis"
)

// Range returns up to count entries of a stream from an id on, that one included, up to another.
func (c *Client) Range(ctx context.Context, stream string, from, until EntryID, count int) ([]Entry, error) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	command := client.B().Xrange().Key(stream).Start(from.String()).End(until.String()).Count(int64(count)).Build()
	found, err := client.Do(ctx, command).AsXRangeSlices()
	if err != nil {
		return nil, c.explain("read "+stream, err)
	}
	return entriesOf(found)
}

// entriesOf returns what the library has read.
func entriesOf(found []rueidis.XRangeSlice) ([]Entry, error) {
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		id, err := ParseEntryID(e.ID)
		if err != nil {
			return nil, err
		}
		fields := make([]Field, len(e.FieldValues))
		for i, f := range e.FieldValues {
			// The library made the string for this entry alone and does not keep it.
			fields[i] = Field{f.Field, unsafe.Slice(unsafe.StringData(f.Value), len(f.Value))}
		}
		entries = append(entries, Entry{id, fields})
	}
	return entries, nil
}

// Value is a value to store for a while, and what became of it.
type Value struct {
	Key  string
	Data []byte
	Age  time.Duration
	// Err is set by Keep: nil if Redis took the value.
	Err error
}

// Keep stores the values, with one round trip, and sets their Errs. Otherwise it is as Publish.
func (c *Client) Keep(ctx context.Context, batch []Value) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		for i := range batch {
			batch[i].Err = err
		}
		return
	}
	defer done()
	commands := make(rueidis.Commands, len(batch))
	for i, v := range batch {
		ms := strconv.FormatInt(max(v.Age.Milliseconds(), 1), 10)
		commands[i] = client.B().Arbitrary("SET").Keys(v.Key).Args(rueidis.BinaryString(v.Data), "PX", ms).Build()
	}
	for i, result := range client.DoMulti(ctx, commands...) {
		batch[i].Err = c.explain("keep a value", result.Error())
	}
}

// Take returns the value that is stored under key and removes it, in one step. It is nil if there is none.
func (c *Client) Take(ctx context.Context, key string) ([]byte, error) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := client.Do(ctx, client.B().Getdel().Key(key).Build()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return data, c.explain("take a value", err)
}

// AddMember adds a member to a set.
func (c *Client) AddMember(ctx context.Context, set, member string) error {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.explain("add to "+set, client.Do(ctx, client.B().Sadd().Key(set).Member(member).Build()).Error())
}

// RemoveMember removes a member from a set.
func (c *Client) RemoveMember(ctx context.Context, set, member string) error {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.explain("remove from "+set, client.Do(ctx, client.B().Srem().Key(set).Member(member).Build()).Error())
}

// Members returns the members of a set, in no order.
func (c *Client) Members(ctx context.Context, set string) ([]string, error) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	members, err := client.Do(ctx, client.B().Smembers().Key(set).Build()).AsStrSlice()
	return members, c.explain("read "+set, err)
}

// HashField is whether a hash has a field.
type HashField struct {
	Key, Field string
	// There and Err are set by Look.
	There bool
	Err   error
}

// Look finds out which hashes have which fields, with one round trip. Otherwise it is as Publish.
func (c *Client) Look(ctx context.Context, batch []HashField) {
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
		commands[i] = client.B().Hexists().Key(batch[i].Key).Field(batch[i].Field).Build()
	}
	for i, result := range client.DoMulti(ctx, commands...) {
		there, err := result.AsBool()
		batch[i].There, batch[i].Err = there, c.explain("look at "+batch[i].Key, err)
	}
}
