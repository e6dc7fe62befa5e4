package sse

// queue holds the events that wait for one stream, bounded by their bytes. It is not safe for concurrent use.
type queue struct {
	items []item
	bytes int
	limit int
}

type item struct {
	bytes    []byte
	volatile bool
}

// push appends it and returns how many volatile events were dropped to keep within the limit; ok is false when the
// event, which is not volatile, found no room all the same. An event that is alone is taken whatever its size: a limit
// smaller than one message would make the message undeliverable rather than the client slow.
func (q *queue) push(it item) (dropped int, ok bool) {
	if !q.fits(it) {
		if it.volatile {
			return 1, true
		}
		dropped = q.dropVolatile()
		if !q.fits(it) {
			return dropped, false
		}
	}
	q.items = append(q.items, it)
	q.bytes += len(it.bytes)
	return dropped, true
}

func (q *queue) fits(it item) bool { return len(q.items) == 0 || q.bytes+len(it.bytes) <= q.limit }

func (q *queue) dropVolatile() (dropped int) {
	kept := q.items[:0]
	for _, it := range q.items {
		if it.volatile {
			dropped++
			q.bytes -= len(it.bytes)
			continue
		}
		kept = append(kept, it)
	}
	clear(q.items[len(kept):])
	q.items = kept
	return dropped
}

// take moves events of up to limit bytes, but at least one if there is one, to the end of dst.
func (q *queue) take(dst [][]byte, limit int) [][]byte {
	n, size := 0, 0
	for n < len(q.items) && (n == 0 || size+len(q.items[n].bytes) <= limit) {
		size += len(q.items[n].bytes)
		dst = append(dst, q.items[n].bytes)
		n++
	}
	q.bytes -= size
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	if rest == 0 && cap(q.items) > idleCapacity {
		q.items = nil
	}
	return dst
}

// idleCapacity is how many slots a drained queue keeps: enough for a steady trickle, little for a burst's leftover.
const idleCapacity = 64
