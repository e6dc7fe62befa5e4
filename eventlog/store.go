package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/peal-dev/peal/message"
)

// Defaults of [Policy].
const (
	DefaultTopicAge   = 24 * time.Hour
	DefaultTopicCount = 100_000
	DefaultTopicBytes = 64 << 20
)

// KeyAge is how long a topic knows the key of a batch at least, unless it was given more than [MaxKeys] since.
const KeyAge = 24 * time.Hour

// What a topic remembers beside its items: the latest of each.
const (
	MaxKeys      = 65536
	MaxProducers = 4096
)

// MaxName is how long the name of a topic, a key or a producer may be, in bytes.
const MaxName = 255

// Policy bounds what a topic keeps: whatever is more is trimmed from the front, in whole batches. The zero value means the
// defaults. Negative values mean no bound of that kind.
type Policy struct {
	Age   time.Duration // of an item; 0 means DefaultTopicAge
	Count int           // of items; 0 means DefaultTopicCount
	Bytes int64         // of items together, see [Item.Size]; 0 means DefaultTopicBytes
}

// WithDefaults returns p, or the zero value if that is nil, with the defaults in place of zeros.
func (p *Policy) WithDefaults() Policy {
	var c Policy
	if p != nil {
		c = *p
	}
	if c.Age == 0 {
		c.Age = DefaultTopicAge
	}
	if c.Count == 0 {
		c.Count = DefaultTopicCount
	}
	if c.Bytes == 0 {
		c.Bytes = DefaultTopicBytes
	}
	return c
}

// Durability is what the acknowledgement of an append means. What a store cannot give it says in its documentation.
type Durability uint8

const (
	// Disk means that the batch is on the disk of the store and survives the loss of power.
	Disk Durability = iota
	// OS means that the batch survives the process that keeps it, and the loss of power only from a second later on.
	OS
)

// Item is one message of a topic.
type Item struct {
	// Offset is its place, which the topic gives: greater than that of all before.
	Offset message.Offset
	// Prev is the offset of the item before it, trimmed or not, or where the topic began: a reader who has another one last
	// has missed something.
	Prev message.Offset
	// Data and Attachments are what was published. Nobody changes them.
	Data        []byte
	Attachments [][]byte
}

// Size returns how many bytes of what was published i holds.
func (i *Item) Size() int64 {
	n := len(i.Data)
	for _, a := range i.Attachments {
		n += len(a)
	}
	return int64(n)
}

// Batch is what is appended together: all of it, or nothing.
type Batch struct {
	// Items are appended in their order. Their offsets are given by the topic. None is fine if End is set.
	Items []Item
	// Key names the batch, if it is not empty: within [KeyAge] another batch with this key is not appended, and is answered as
	// the first one was.
	Key string
	// Producer numbers its batches, if it is not empty: Seq is 0 for the first of an Epoch and then one more with each. What
	// has come before is not appended again ([Appended.Duplicate]), a gap is a [*SequenceError]. A greater Epoch fences all
	// who append with a smaller one of the same Producer: they get a [*FencedError].
	Producer   string
	Epoch, Seq uint64
	// Durability is what the acknowledgement means.
	Durability Durability
	// End ends the topic behind the items: there will be no more, and readers are told once they have all.
	End bool
}

// Check returns an error that is ErrInvalid unless b is a batch.
func (b *Batch) Check() error {
	if len(b.Items) == 0 && !b.End {
		return fmt.Errorf("%w: a batch without items", ErrInvalid)
	}
	if len(b.Key) > MaxName || len(b.Producer) > MaxName {
		return fmt.Errorf("%w: a key or a producer of more than %d bytes", ErrInvalid, MaxName)
	}
	return nil
}

// CheckName returns an error that is ErrInvalid unless name may be the name of what: a topic, for example.
func CheckName(what, name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: the name of a %s has 1 to %d bytes, not %d", ErrInvalid, what, MaxName, len(name))
	}
	return nil
}

// Appended answers an append.
type Appended struct {
	// First and Last are the offsets of the first and the last item. They are zero if there was none, and for a duplicate by
	// number that is not its producer's last batch.
	First, Last message.Offset
	// Duplicate says that the batch was appended before, and these are the offsets it got then.
	Duplicate bool
	// Seq is the greatest number that the batch's producer has appended in its epoch: of a duplicate it may be greater than
	// the batch's own. It is 0 without a producer, and for a duplicate by key.
	Seq uint64
}

// TopicBounds are what a topic covers.
type TopicBounds struct {
	Bounds
	// Ended says that Top is the last item there will ever be.
	Ended bool
}

// Topic is a durable named log: immutable items in one order, trimmed from the front. All methods are safe for concurrent use.
type Topic interface {
	// Append appends a batch and returns when it is as durable as it says. Errors are those of this package. When ctx ends
	// while it is being written the error is ErrUncertain: with a Key, or a Producer, it can be appended again safely. The topic
	// keeps the bytes of b's items, which must not change any more, unless the error says that nothing was kept.
	Append(ctx context.Context, b *Batch) (Appended, error)
	// Read returns items behind after, oldest first: at most n, but a batch is not cut. The zero offset stands for the oldest
	// item that is kept. If the topic does not cover after, the error is an [*OffsetError], never a part of the rest. None are
	// no error.
	Read(ctx context.Context, after message.Offset, n int) ([]Item, error)
	// Wait returns when there are items behind after, or when the topic has ended or was deleted: Read tells which.
	Wait(ctx context.Context, after message.Offset) error
	// Bounds returns what the topic covers.
	Bounds(ctx context.Context) (TopicBounds, error)
	// Trim forgets items up to floor, in whole batches: it leaves a batch of which a part is behind floor.
	Trim(ctx context.Context, floor message.Offset) error
}

// Store keeps topics. All methods are safe for concurrent use.
//
// A [Log] is something else: the last minutes of what one node has broadcast, in memory and without a promise beyond the
// process, by which clients recover. It may be the end of a longer log, and then that may be a topic: the offsets are the same.
type Store interface {
	// Topic returns the topic of that name, which is made if there is none. Nil leaves the policy of a topic that is there,
	// and is the defaults for one that is made.
	Topic(ctx context.Context, name string, p *Policy) (Topic, error)
	// Delete deletes a topic and all it has, if it is there. A topic that is made under the name later begins behind it.
	Delete(ctx context.Context, name string) error
	// Topics returns the names of all topics, in order.
	Topics(ctx context.Context) ([]string, error)
	// Close ends the store. Who waits gets ErrStoreClosed.
	Close() error
}
