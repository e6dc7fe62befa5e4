package redisx

import (
	"bytes"
	"sync/atomic"
)

// exchange counts the commands on a connection and the replies to them, which may come in pieces. What Redis says unasked, and
// what it confirms of subscriptions, which RESP3 sends as such, is no reply, and a subscription has none but an error. Once there
// were more replies than commands, as there are in RESP2 and when a subscription is refused, whatever comes is taken for all that
// was asked for. It implements [rival.Exchange].
type exchange struct {
	commands, replies resp
	asked, answered   atomic.Int64
	lost              atomic.Bool // the count
}

// Asked implements [rival.Exchange].
func (x *exchange) Asked(p []byte) {
	if x.lost.Load() {
		x.asked.Add(1)
		return
	}
	if !x.commands.read(p, func(bool) {
		if !bytes.HasSuffix(x.commands.name, []byte("SUBSCRIBE\r\n")) {
			x.asked.Add(1)
		}
	}) {
		x.lose()
	}
}

// Answered implements [rival.Exchange].
func (x *exchange) Answered(p []byte) {
	if !x.lost.Load() {
		if !x.replies.read(p, func(pushed bool) {
			if !pushed {
				x.answered.Add(1)
			}
		}) || x.answered.Load() > x.asked.Load() {
			x.lose()
		}
	}
	if x.lost.Load() {
		x.answered.Store(x.asked.Load())
	}
}

func (x *exchange) lose() {
	x.lost.Store(true)
	x.asked.Add(1) // so that what was written last is due, whatever has been counted
}

// Due implements [rival.Exchange].
func (x *exchange) Due() bool { return x.asked.Load() > x.answered.Load() }

// resp follows one direction of a connection, in pieces of any length. See the [protocol].
//
// [protocol]: https://redis.io/docs/latest/develop/reference/protocol-spec/
type resp struct {
	body   int64  // bytes that are left of a string
	kind   byte   // of the line that is being read; 0 between two
	number int64  // of that line so far
	minus  bool   // in front of it
	need   int64  // elements until a command or a reply is whole; 0 between two
	push   bool   // nobody asked for it
	name   []byte // the first string of a command begins with this, its end included
	named  bool   // name is whole
}

// maxHeader is more than any number in front of a string or a list.
const maxHeader = 1 << 40

// longest is how long the names of commands that are told apart are, and a bit: of what is longer the end is not known.
const longest = len("PUNSUBSCRIBE\r\n") + 1

// read calls whole for each command or reply that ends in p, and reports false if it is neither.
func (r *resp) read(p []byte, whole func(push bool)) bool {
	for len(p) > 0 {
		switch {
		case r.body > 0:
			n := min(r.body, int64(len(p)))
			r.note(p[:n])
			p = p[n:]
			if r.body -= n; r.body == 0 {
				r.named = true
				r.element(whole)
			}
		case r.kind == 0:
			r.kind, r.number, r.minus = p[0], 0, false
			if r.need == 0 {
				r.name, r.named = r.name[:0], false
			}
			p = p[1:]
		default:
			end := bytes.IndexByte(p, '\n')
			line := p
			if end >= 0 {
				line = p[:end]
			}
			if r.headed() && !r.count(line) {
				return false
			}
			if end < 0 {
				return true
			}
			p = p[end+1:]
			if !r.line(whole) {
				return false
			}
			r.kind = 0
		}
	}
	return true
}

// headed reports whether the line says how long what follows is.
func (r *resp) headed() bool { return bytes.IndexByte([]byte("$!=*~>%|"), r.kind) >= 0 }

// count takes a part of the number of a line.
func (r *resp) count(digits []byte) bool {
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			r.number = r.number*10 + int64(c-'0')
		case c == '-':
			r.minus = true
		case c != '\r':
			return false
		}
		if r.number > maxHeader {
			return false
		}
	}
	return true
}

// line takes the end of a line.
func (r *resp) line(whole func(bool)) bool {
	switch r.kind {
	case '$', '!', '=':
		if r.minus { // a null
			r.element(whole)
		} else {
			r.body = r.number + 2
		}
	case '*', '~', '>':
		r.list(r.number, whole)
	case '%':
		r.list(2*r.number, whole)
	case '|': // before what it belongs to
		r.need = max(r.need, 1) + 2*r.number
	case '+', '-', ':', '_', '#', ',', '(':
		r.element(whole)
	default:
		return false
	}
	return true
}

func (r *resp) list(elements int64, whole func(bool)) {
	if r.need == 0 {
		r.push = r.kind == '>'
	}
	if !r.minus {
		r.need = max(r.need, 1) + elements
	}
	r.element(whole)
}

// element ends an element.
func (r *resp) element(whole func(push bool)) {
	if r.need--; r.need > 0 {
		return
	}
	r.need = 0
	push := r.push
	r.push = false
	whole(push)
}

// note keeps the beginning of the first string.
func (r *resp) note(p []byte) {
	if !r.named {
		r.name = append(r.name, p[:min(len(p), longest-len(r.name))]...)
	}
}
