package ledger

import "time"

// memory is what is known by name: the latest, and none that are older than an age.
type memory[V any] struct {
	age   uint64 // in milliseconds; 0 means any
	max   int
	by    map[string]known[V]
	order []noted // oldest first, with names that were noted again since
}

type known[V any] struct {
	value V
	at    uint64 // in milliseconds
	n     uint64 // tells notes of one name apart
}

type noted struct {
	name string
	n    uint64
}

func newMemory[V any](age time.Duration, most int) memory[V] {
	return memory[V]{age: uint64(age / time.Millisecond), max: most, by: map[string]known[V]{}}
}

// get returns what is known of a name at a time. Nothing is known of "".
func (m *memory[V]) get(name string, now uint64) (v V, ok bool) {
	k, ok := m.by[name]
	if !ok || m.age > 0 && now > k.at+m.age {
		return v, false
	}
	return k.value, true
}

// put notes what is known of a name, and returns what undoes that.
func (m *memory[V]) put(name string, v V, now uint64) (undo func()) {
	before, was := m.by[name]
	m.by[name] = known[V]{v, now, before.n + 1}
	m.order = append(m.order, noted{name, before.n + 1})
	m.forget(now)
	return func() {
		if was {
			m.by[name] = before // it keeps its old note
			m.order = append(m.order, noted{name, before.n})
		} else {
			delete(m.by, name)
		}
	}
}

// forget forgets the oldest while there are too many, or they are too old.
func (m *memory[V]) forget(now uint64) {
	for len(m.order) > 0 {
		oldest := m.order[0]
		k, ok := m.by[oldest.name]
		if ok && k.n == oldest.n {
			if len(m.by) <= m.max && (m.age == 0 || now <= k.at+m.age) {
				break
			}
			delete(m.by, oldest.name)
		}
		m.order = m.order[1:]
	}
	if len(m.order) > 2*len(m.by)+16 { // names that are noted again and again, as producers are
		order := make([]noted, 0, len(m.by))
		for _, o := range m.order {
			if k, ok := m.by[o.name]; ok && k.n == o.n {
				order = append(order, o)
			}
		}
		m.order = order
	}
}

// all calls f with all that is known, oldest first.
func (m *memory[V]) all(f func(name string, v V, at uint64)) {
	for _, o := range m.order {
		if k, ok := m.by[o.name]; ok && k.n == o.n {
			f(o.name, k.value, k.at)
		}
	}
}
