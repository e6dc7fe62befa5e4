package eventlog

import (
	"context"

	"github.com/peal-dev/peal/message"
)

// Cursor reads a topic on and on: what is there, and then what comes, without a seam between the two. [Follow] makes one. It
// has no goroutine and needs no closing. It is for one goroutine.
type Cursor struct {
	topic Topic
	after message.Offset
	batch int
}

// cursorBatch is how many items a cursor reads at once.
const cursorBatch = 256

// Follow returns a cursor that reads t from behind after, or from the oldest item on if that is zero.
func Follow(t Topic, after message.Offset) *Cursor {
	return &Cursor{topic: t, after: after, batch: cursorBatch}
}

// Next returns the next items, at least one, and waits for them. When the topic has ended and all was read the error is
// ErrEnded. An [*OffsetError] says that items were trimmed before they were read.
func (c *Cursor) Next(ctx context.Context) ([]Item, error) {
	for {
		items, err := c.topic.Read(ctx, c.after, c.batch)
		if err != nil {
			return nil, err
		}
		if len(items) > 0 {
			c.after = items[len(items)-1].Offset
			return items, nil
		}
		b, err := c.topic.Bounds(ctx)
		if err != nil {
			return nil, err
		}
		if b.Ended && (c.after == b.Top || c.after.IsZero()) {
			return nil, ErrEnded
		}
		if c.after.IsZero() {
			c.after = b.Floor // so that nothing is skipped that is appended and trimmed while it waits
		}
		if err := c.topic.Wait(ctx, c.after); err != nil {
			return nil, err
		}
	}
}

// Offset returns where the cursor is: that of the last item it has returned, or where it was made to begin.
func (c *Cursor) Offset() message.Offset { return c.after }
