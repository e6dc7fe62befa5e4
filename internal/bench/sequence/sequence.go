// Package sequence finds messages that were lost, came twice or came out of order, from the numbers they carry.
package sequence

// window is how far back a late message is told from a repeated one.
const window = 64

// Tracker follows the messages 0, 1, 2, … of one sender at one receiver. Its zero value expects message 0. It is small,
// because there is one for each client, and not safe for concurrent use.
type Tracker struct {
	next uint32 // the number that comes next if all is well
	seen uint64 // bit i: message next-1-i has arrived
}

// Counts is what trackers found. Its zero value is ready to use.
type Counts struct {
	Received   uint64 // messages, each counted once
	Duplicated uint64 // arrivals of a message that had arrived before
	Reordered  uint64 // arrivals behind a later message
	Lost       uint64 // messages that did not arrive; known after Finish
}

// Skip makes the tracker expect message n next: what came before it was for others.
func (t *Tracker) Skip(n uint32) { t.next, t.seen = n, ^uint64(0) }

// Arrived notes that message n has arrived, and reports whether it is the first time.
func (t *Tracker) Arrived(n uint32, counts *Counts) bool {
	if n >= t.next {
		gap := n - t.next
		counts.Lost += uint64(gap)
		if gap >= window-1 {
			t.seen = 0
		} else {
			t.seen <<= gap + 1
		}
		t.seen |= 1
		t.next = n + 1
		counts.Received++
		return true
	}
	back := t.next - 1 - n
	if back >= window || t.seen&(1<<back) != 0 {
		counts.Duplicated++
		return false
	}
	t.seen |= 1 << back
	counts.Received++
	counts.Reordered++
	counts.Lost-- // it was taken for lost when a later one arrived
	return true
}

// Finish counts as lost what is missing of the messages before n.
func (t *Tracker) Finish(n uint32, counts *Counts) {
	if n > t.next {
		gap := n - t.next
		counts.Lost += uint64(gap)
		t.seen <<= min(gap, window)
		t.next = n
	}
}
