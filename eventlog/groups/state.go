package groups

import (
	"slices"

	"github.com/peal-dev/peal/message"
)

// lease is a part of the topic that one consumer has: the items behind After up to Upto.
type lease struct {
	ID       uint64         `json:"id"`
	Consumer string         `json:"consumer"`
	After    message.Offset `json:"after"`
	Upto     message.Offset `json:"upto"`
	Until    int64          `json:"until"` // in milliseconds since 1970; 0 if it was given back
	Attempt  int            `json:"attempt"`
}

// record is a change of a group.
type record struct {
	N       uint64 `json:"n"` // number of the change
	Claim   *lease `json:"claim,omitempty"`
	Instead uint64 `json:"instead,omitempty"` // the lease that Claim takes over, or 0
	Done    uint64 `json:"done,omitempty"`    // a lease whose items are dealt with
	Extend  *lease `json:"extend,omitempty"`  // of which ID and Until count
	All     *state `json:"all,omitempty"`     // what came before
}

// state is what a group has come to.
type state struct {
	Next   message.Offset `json:"next"`   // behind this nothing was claimed yet
	Leases []lease        `json:"leases"` // oldest part of the topic first
}

func (s *state) find(id uint64) int {
	return slices.IndexFunc(s.Leases, func(l lease) bool { return l.ID == id })
}

// apply carries a change out. All nodes do so alike.
func (s *state) apply(r *record) {
	if r.All != nil {
		*s = state{Next: r.All.Next, Leases: slices.Clone(r.All.Leases)}
	}
	if r.Claim != nil {
		l := *r.Claim
		l.ID = r.N
		if i := s.find(r.Instead); r.Instead != 0 && i >= 0 {
			s.Leases[i] = l
		} else if r.Instead == 0 {
			s.Leases = append(s.Leases, l)
			s.Next = l.Upto
		}
	}
	if i := s.find(r.Done); r.Done != 0 && i >= 0 {
		s.Leases = slices.Delete(s.Leases, i, i+1)
	}
	if r.Extend != nil {
		if i := s.find(r.Extend.ID); i >= 0 {
			s.Leases[i].Until = r.Extend.Until
		}
	}
}

// cursor returns the offset up to which all is dealt with.
func (s *state) cursor() message.Offset {
	if len(s.Leases) > 0 {
		return s.Leases[0].After
	}
	return s.Next
}
