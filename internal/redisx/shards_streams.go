package redisx

import (
	"context"
	"time"
)

// Stream asks what Redis knows of a stream.
func (s *Shards) Stream(ctx context.Context, stream string) (info StreamInfo, err error) {
	err = s.at(ctx, stream, func(ctx context.Context, c *Client) error {
		info, err = c.Stream(ctx, stream)
		return err
	})
	return info, err
}

// Appendable returns why nothing can be appended to a stream now, as [Client.Appendable] does.
func (s *Shards) Appendable(ctx context.Context, stream string) error {
	return s.at(ctx, stream, func(ctx context.Context, c *Client) error { return c.Appendable(ctx, stream) })
}

// ReadStream returns a reader of a stream, as [Client.ReadStream] does, on the server that has the stream. When another has
// it, the reader fails, and the next one is there.
func (s *Shards) ReadStream(ctx context.Context, stream string, count int, block time.Duration) (r *StreamReader, err error) {
	err = s.at(ctx, stream, func(_ context.Context, c *Client) error {
		r, err = c.ReadStream(stream, count, block)
		return err
	})
	if err == nil {
		r.failed = s.kick
	}
	return r, err
}

// Range returns entries of a stream, as [Client.Range] does.
func (s *Shards) Range(ctx context.Context, stream string, from, until EntryID, count int) (entries []Entry, err error) {
	err = s.at(ctx, stream, func(ctx context.Context, c *Client) error {
		entries, err = c.Range(ctx, stream, from, until, count)
		return err
	})
	return entries, err
}

func (v *Value) key() string   { return v.Key }
func (v *Value) fault() *error { return &v.Err }

// Keep stores the values, with one round trip to each server, and sets their Errs.
func (s *Shards) Keep(ctx context.Context, batch []Value) { spread(ctx, s, batch, (*Client).Keep) }

func (r *Renewal) key() string   { return r.Key }
func (r *Renewal) fault() *error { return &r.Err }

// Renew replaces the values, with one round trip to each server, and sets their Found and Err.
func (s *Shards) Renew(ctx context.Context, batch []Renewal) { spread(ctx, s, batch, (*Client).Renew) }

// Take returns the value that is stored under key and removes it, as [Client.Take] does.
func (s *Shards) Take(ctx context.Context, key string) (data []byte, err error) {
	err = s.at(ctx, key, func(ctx context.Context, c *Client) error {
		data, err = c.Take(ctx, key)
		return err
	})
	return data, err
}

func (f *HashField) key() string   { return f.Key }
func (f *HashField) fault() *error { return &f.Err }

// Look finds out which hashes have which fields, with one round trip to each server, and sets their There and Err.
func (s *Shards) Look(ctx context.Context, batch []HashField) { spread(ctx, s, batch, (*Client).Look) }

// Run runs a script, as [Client.Run] does, on the server that has the keys.
func (s *Shards) Run(ctx context.Context, script *Script, keys, args []string) (answer any, err error) {
	err = s.at(ctx, keys[0], func(ctx context.Context, c *Client) error {
		answer, err = c.Run(ctx, script, keys, args)
		return err
	})
	return answer, err
}

// AddMember adds a member to a set.
func (s *Shards) AddMember(ctx context.Context, set, member string) error {
	return s.at(ctx, set, func(ctx context.Context, c *Client) error { return c.AddMember(ctx, set, member) })
}

// RemoveMember removes a member from a set.
func (s *Shards) RemoveMember(ctx context.Context, set, member string) error {
	return s.at(ctx, set, func(ctx context.Context, c *Client) error { return c.RemoveMember(ctx, set, member) })
}

// Members returns the members of a set, in no order.
func (s *Shards) Members(ctx context.Context, set string) (members []string, err error) {
	err = s.at(ctx, set, func(ctx context.Context, c *Client) error {
		members, err = c.Members(ctx, set)
		return err
	})
	return members, err
}

// at has do ask the server that has a key, and another one if that has it by now.
func (s *Shards) at(ctx context.Context, key string, do func(ctx context.Context, c *Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var before *topology
	var err error
	for {
		if failed := s.await(ctx, before); failed != nil {
			if err == nil {
				err = failed
			}
			return err
		}
		s.mu.Lock()
		table := s.table
		n, none := s.nodeOf(key)
		s.mu.Unlock()
		if err = none; err == nil {
			err = do(ctx, n.client)
		}
		if err != nil && (isElsewhere(err) || !isAnswer(err)) {
			s.kick()
		}
		if !isElsewhere(err) {
			return err
		}
		before = table
	}
}
