package journal

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// turn is what is written and made durable together.
type turn struct {
	items []item
	bytes int  // about how many
	sync  bool // somebody wants it on the disk
	done  chan struct{}
}

// item is one record of a turn.
type item struct {
	record  Record // nil when it was withdrawn
	at      Position
	err     error
	told    bool // it is withdrawn or refused: there is nothing to tell
	encoded bool // Append was called and went well
}

func newTurn() *turn { return &turn{done: make(chan struct{})} }

// run is the goroutine that writes.
func (j *Journal) run(ctx context.Context) {
	late := time.NewTimer(j.options.SyncWithin)
	late.Stop()
	defer late.Stop()
	armed := false
	for {
		select {
		case <-j.kick:
			j.gather()
			j.turn()
		case <-late.C:
			armed = false
			_ = j.sync() // who appends next is told
		case <-ctx.Done():
			j.turn()
			j.finish()
			return
		}
		// A later turn does not put off the sync that an earlier one waits for.
		if open := j.durable < j.end && j.failed() == nil; open != armed {
			if armed = open; open {
				late.Reset(j.options.SyncWithin)
			} else {
				late.Stop()
			}
		}
	}
}

// gather lets those come along who were in the last turn and are about to append again: they have been woken by its end,
// one after another, and the first of them would have the next one to itself. It gives up when nobody comes.
func (j *Journal) gather() {
	before := 0
	for idle := 0; idle < gatherTries; idle++ {
		j.mu.Lock()
		n := len(j.next.items)
		j.mu.Unlock()
		if n >= j.last {
			return
		}
		if n > before {
			before, idle = n, 0
		}
		runtime.Gosched()
	}
}

// gatherTries is how often gather lets others run in vain.
const gatherTries = 3

// take returns what waits and begins to collect the next turn, or nil if nothing waits.
func (j *Journal) take() *turn {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.next
	if len(t.items) == 0 {
		return nil // who is in the last turn has signalled twice
	}
	j.next = newTurn()
	close(j.room)
	j.room = make(chan struct{})
	return t
}

// turn writes what waits.
func (j *Journal) turn() {
	t := j.take()
	if t == nil {
		return
	}
	j.last = len(t.items)
	j.buf = j.buf[:0]
	written, err := j.encode(t)
	if err == nil {
		err = j.write()
		if err == nil && t.sync {
			err = j.sync()
		}
		if err == nil {
			written = len(t.items)
		}
	}
	t.tell(written, err)
	close(t.done)
	if cap(j.buf) > keptBuffer {
		j.buf = nil
	}
}

// keptBuffer is how large a buffer is kept for the next turn.
const keptBuffer = 4 << 20

// encode puts the records of t into the buffer. When a segment is full it writes them and goes on in the next one. It returns
// how many it has written before an error.
func (j *Journal) encode(t *turn) (written int, err error) {
	if err := j.failed(); err != nil {
		return 0, err
	}
	for i := range t.items {
		it := &t.items[i]
		if it.record == nil {
			it.told = true
			continue
		}
		if len(j.buf) == 0 {
			j.buf = j.key.appendMark(j.buf, j.end, j.durable)
		}
		from := len(j.buf)
		buf, err := it.record.Append(openRecord(j.buf))
		n := len(buf) - from - headSize
		if err == nil && n > j.options.MaxRecord {
			err = fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, j.options.MaxRecord)
			it.record.Done(0, err)
		}
		if err != nil {
			it.err, it.told = err, true
		}
		it.encoded = err == nil
		if err != nil || n == 0 {
			j.buf = buf[:from]
			continue
		}
		j.buf = closeRecord(buf, from)
		if j.current.left(j.end) < len(j.buf)+headSize {
			complete, err := j.turnOver(from)
			if complete {
				written = i
			}
			if err != nil {
				return written, err
			}
			from = markSize
		}
		it.at = j.end + Position(from)
		j.key.seal(j.buf[from:], n, it.at)
	}
	return written, nil
}

// turnOver writes what is in the buffer before from, which completes the segment, and begins the next one with what is
// behind it.
func (j *Journal) turnOver(from int) (complete bool, err error) {
	over := j.buf[from:]
	j.buf = j.buf[:from:from]
	if err := j.write(); err != nil {
		return false, err
	}
	if err := j.sync(); err != nil { // a segment is complete before there is the next
		return false, err
	}
	if err := j.grow(); err != nil {
		return true, err
	}
	j.buf = append(j.key.appendMark(nil, j.end, j.durable), over...)
	return true, nil
}

// write writes the buffer, unless it has no more than a mark.
func (j *Journal) write() error {
	if len(j.buf) <= markSize {
		return nil
	}
	s := j.current
	n := len(j.buf)
	j.buf = append(j.buf, make([]byte, headSize)...) // the end
	part, err := s.file.WriteAt(j.buf, s.offset(j.end))
	if isFull(err) {
		var again error
		if part > 0 { // it may be whole records, which must not be found by the next Open
			_, again = s.file.WriteAt(make([]byte, min(part, headSize)), s.offset(j.end))
		}
		if again == nil {
			return fmt.Errorf("%w: write %s: %w", ErrFull, s.name, err)
		}
	}
	if err != nil {
		return j.fail(fmt.Errorf("write %s: %w", s.name, err))
	}
	j.end += Position(n)
	s.end.Store(uint64(j.end))
	j.buf = j.buf[:0]
	return nil
}

// sync returns when everything that was written is on the disk.
func (j *Journal) sync() error {
	if j.durable == j.end {
		return nil
	}
	s := j.current
	if err := s.file.SyncData(); err != nil {
		return j.fail(fmt.Errorf("sync %s: %w", s.name, err))
	}
	j.durable = j.end
	return nil
}

// finish leaves a mark behind the last record, so that damage to it is known as damage.
func (j *Journal) finish() {
	if j.failed() != nil || j.current.left(j.end) < markSize+headSize || j.sync() != nil {
		return
	}
	j.buf = append(j.key.appendMark(j.buf[:0], j.end, j.durable), make([]byte, headSize)...)
	s := j.current
	if _, err := s.file.WriteAt(j.buf, s.offset(j.end)); err == nil {
		_ = s.file.SyncData() // without the mark nothing is lost
	}
}

// fail ends the journal and returns why.
func (j *Journal) fail(cause error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure == nil {
		j.failure = fmt.Errorf("%w: %w", ErrFailed, cause)
	}
	return j.failure
}

func (j *Journal) failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure
}

// tell tells the first written records that they are kept, and the others, last first, that they are not.
func (t *turn) tell(written int, err error) {
	for i := range t.items[:written] {
		if it := &t.items[i]; !it.told {
			it.record.Done(it.at, nil)
		}
	}
	for i := len(t.items) - 1; i >= written; i-- {
		it := &t.items[i]
		if it.told {
			continue
		}
		it.err = err
		if it.encoded {
			it.record.Done(0, err)
		}
	}
}
