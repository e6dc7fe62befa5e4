package redisstreams

import "github.com/peal-dev/peal/internal/redisx"

// progress is how far a stream has been read, and whether everything was. The zero value has not begun.
type progress struct {
	at      redisx.EntryID
	count   uint64 // how many entries were appended up to there, if counted
	counted bool
	mark    *redisx.StreamInfo // to be compared with count when at is there
}

// begin starts behind all that the stream has.
func (p *progress) begin(info redisx.StreamInfo) {
	*p = progress{at: info.Newest, count: info.Added, counted: info.Counted}
}

// read notes the next entry. It returns how many before it were missed.
func (p *progress) read(id redisx.EntryID) (missing uint64) {
	if p.mark != nil && p.mark.Newest.Less(id) {
		missing = p.settle(p.mark.Added)
	}
	p.at = id
	p.count++
	if p.mark != nil && p.mark.Newest == id {
		missing += p.settle(p.mark.Added)
	}
	return missing
}

// settle compares: so many entries were appended up to where the reader is.
func (p *progress) settle(added uint64) (missing uint64) {
	if p.counted && added > p.count {
		missing = added - p.count
	}
	p.count, p.counted, p.mark = added, true, nil
	return missing
}

// check takes what Redis knows of the stream now, and returns how many entries are known to be missing. The rest may be known
// later.
func (p *progress) check(info redisx.StreamInfo) (missing uint64) {
	switch {
	case !info.Counted, info.Newest.Less(p.at): // further by now
	case !p.at.Less(info.Last): // there is nothing left to read
		p.at = info.Newest
		return p.settle(info.Added)
	case p.mark == nil:
		p.mark = &info
	}
	return 0
}

// resume is check on a new connection. That the stream is not the one that it was, but one that has less, is said by reset:
// it went with a Redis that does not keep its data, or a replica has it that had not got all. How much is missing is not
// known then.
func (p *progress) resume(info redisx.StreamInfo) (missing uint64, reset bool) {
	p.mark = nil
	switch {
	case info.Newest.Less(p.at):
		p.at, p.count, p.counted = info.Newest, info.Added, info.Counted
		return 0, true
	case info.Counted && p.counted && info.Added < p.count:
		// What it has is read, as far as it is new.
		p.counted = false
		if info.Length > 0 && p.at.Less(info.First) {
			p.count, p.counted = info.Added-info.Length, true
		}
		return 0, true
	}
	return p.check(info), false
}
