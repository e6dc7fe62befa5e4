package netconn

import "sync"

// queue holds the slices that wait for one connection. An idle connection has no memory for it beyond the struct; the
// first slice needs none either, because most queues never hold a second.
type queue struct {
	first []byte
	rest  *slices
	bytes int
}

// slices is the part of a queue that is taken from a pool while it is needed.
type slices struct {
	all  [][]byte
	head int // all[:head] has left
}

var slicesPool = sync.Pool{New: func() any { return &slices{all: make([][]byte, 0, 16)} }}

func (q *queue) push(b []byte) {
	if len(b) == 0 {
		return
	}
	q.bytes += len(b)
	if q.first == nil && q.rest == nil {
		q.first = b
		return
	}
	if q.rest == nil {
		q.rest = slicesPool.Get().(*slices)
	}
	q.rest.all = append(q.rest.all, b)
}

// maxBatch bounds how many slices one system call takes (IOV_MAX is 1024 on Linux).
const maxBatch = 512

// batch is what one system call writes: a snapshot of the head of a queue. The queue may grow meanwhile.
type batch struct {
	first []byte
	rest  [][]byte
}

func (q *queue) batch() batch {
	b := batch{first: q.first}
	if q.rest != nil {
		b.rest = q.rest.all[q.rest.head:]
		if len(b.rest) > maxBatch-1 {
			b.rest = b.rest[:maxBatch-1]
		}
	}
	return b
}

// consume removes n bytes from the head and returns how many slices have left whole.
func (q *queue) consume(n int) (left int) {
	if n <= 0 {
		return 0
	}
	q.bytes -= n
	if len(q.first) > 0 {
		if n < len(q.first) {
			q.first = q.first[n:]
			return 0
		}
		n -= len(q.first)
		q.first = nil
		left++
	}
	if q.rest != nil {
		left += q.rest.consume(n)
	}
	if q.bytes == 0 {
		q.reset()
	}
	return left
}

func (s *slices) consume(n int) (left int) {
	for n > 0 {
		b := s.all[s.head]
		if n < len(b) {
			s.all[s.head] = b[n:]
			return left
		}
		n -= len(b)
		s.all[s.head] = nil
		s.head++
		left++
	}
	if s.head > 64 && s.head*2 > len(s.all) { // a queue that never runs dry must not grow for ever
		kept := copy(s.all, s.all[s.head:])
		clear(s.all[kept:])
		s.all, s.head = s.all[:kept], 0
	}
	return left
}

// reset empties the queue and gives its memory back.
func (q *queue) reset() {
	if s := q.rest; s != nil {
		clear(s.all)
		if cap(s.all) <= 1024 {
			s.all, s.head = s.all[:0], 0
			slicesPool.Put(s)
		}
	}
	*q = queue{}
}
