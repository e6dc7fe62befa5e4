package netconn

import "sync"

// unread is what a handler has left, in memory of its own.
type unread struct {
	bytes []byte
	kept  *[pollBuffer]byte // nil while bytes are the poller's
}

var unreads = sync.Pool{New: func() any { return new([pollBuffer]byte) }}

func (u *unread) free() {
	if u.kept != nil {
		unreads.Put(u.kept)
	}
	*u = unread{}
}

// takeRest takes what c's handler has left.
func (p *poller) takeRest(c *Conn) unread {
	if len(p.rest) == 0 {
		return unread{}
	}
	u, kept := p.rest[c]
	if kept {
		delete(p.rest, c)
	}
	return u
}

// hasRest reports whether c's handler has left something.
func (p *poller) hasRest(c *Conn) bool {
	if len(p.rest) == 0 {
		return false
	}
	_, kept := p.rest[c]
	return kept
}

// keep keeps u until c's next turn.
func (p *poller) keep(c *Conn, u unread) {
	if len(u.bytes) == 0 {
		u.free()
		return
	}
	if u.kept == nil {
		u.kept = unreads.Get().(*[pollBuffer]byte)
		u.bytes = u.kept[:copy(u.kept[:], u.bytes)]
	}
	p.rest[c] = u
}
