package adapter

import "sync"

// numbers gives out small numbers and takes them back, so that a set of members is a bitmap.
type numbers struct {
	mu   sync.Mutex
	next uint32
	free []uint32
}

func (n *numbers) take() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last := len(n.free) - 1; last >= 0 {
		num := n.free[last]
		n.free = n.free[:last]
		return num
	}
	n.next++
	return n.next - 1
}

func (n *numbers) give(num uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.free = append(n.free, num)
}

func (n *numbers) limit() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.next
}

// marks is a set of entry numbers: a bit each, 125 kB for a million members.
type marks struct {
	bits []uint64
}

var marksPool = sync.Pool{New: func() any { return new(marks) }}

// takeMarks returns an empty set from the pool.
func (ix *index) takeMarks() *marks {
	m := marksPool.Get().(*marks)
	m.grow(int(ix.numbers.limit()/64) + 1)
	return m
}

func (m *marks) grow(words int) {
	if words <= cap(m.bits) {
		m.bits = m.bits[:words]
		return
	}
	m.bits = append(m.bits, make([]uint64, words-len(m.bits))...)
}

// set adds num and reports whether it was in the set before.
func (m *marks) set(num uint32) bool {
	word, bit := int(num/64), uint64(1)<<(num%64)
	if word >= len(m.bits) {
		// A member that came after the set was made.
		m.grow(word + 1)
	}
	was := m.bits[word]&bit != 0
	m.bits[word] |= bit
	return was
}

// release empties the set and puts it back.
func (m *marks) release() {
	clear(m.bits)
	m.bits = m.bits[:0]
	marksPool.Put(m)
}
