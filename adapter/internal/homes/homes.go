package homes

import (
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// Beating is how often a process says that it is there, and deadAfter after how much silence of it others know that it is
	// not: its links do not answer any more.
	Beating   = time.Second
	deadAfter = 3*time.Second - 2*Judging
	// Judging is how often [Homes.Judge] is to be called.
	Judging = 100 * time.Millisecond
	// deafAfter is how much later than is usual a probe of this process may come back.
	deafAfter = 750 * time.Millisecond
	// DefaultKeep is the default of [Homes.Keep].
	DefaultKeep = time.Minute
	// maxHomes bounds what is remembered of others: whoever may publish could name any number.
	maxHomes = 4096
)

// Homes are the other processes whose links have told of them. A beat of one stands for all its links, so that thousands of
// namespaces cost no more than one. The zero value has none and is ready. It is safe for concurrent use, but for Judge and Deaf,
// which belong to one goroutine.
type Homes struct {
	// Keep is how long it is remembered which links a process had that is silent: it may have been cut off, or frozen. 0 means
	// DefaultKeep. It must not change after the first use.
	Keep time.Duration

	mu   sync.Mutex
	byID map[string]*home
	told []string // namespaces in which this process has told of itself last

	trust trust // belongs to Judge
}

// Links are the links of one process: the name of each by its namespace.
type Links map[string]string

// home is a process.
type home struct {
	heard time.Time
	dead  bool
	links Links
}

// Hear notes that a process was heard by a link of its own. If it was thought dead, the links that it has are returned.
func (hs *Homes) Hear(id, namespace, uid string, now time.Time) (back Links) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byID[id]
	if h == nil {
		if len(hs.byID) >= maxHomes {
			return nil
		}
		if hs.byID == nil {
			hs.byID = make(map[string]*home)
		}
		h = &home{links: make(Links)}
		hs.byID[id] = h
	}
	h.heard, h.links[namespace] = now, uid
	if h.dead {
		h.dead = false
		return maps.Clone(h.links) // another link may hear of it meanwhile
	}
	return nil
}

// Left forgets a link.
func (hs *Homes) Left(namespace, uid string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for id, h := range hs.byID {
		if h.links[namespace] == uid {
			delete(h.links, namespace)
			if len(h.links) == 0 {
				delete(hs.byID, id)
			}
			return
		}
	}
}

// Answered forgets a link whose process is taken for dead, but which has answered: others must not think that it will not.
func (hs *Homes) Answered(namespace, name string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, h := range hs.byID {
		if h.dead && h.links[namespace] == name {
			delete(h.links, namespace)
		}
	}
}

// Closed forgets a namespace, of which this process hears nothing any more.
func (hs *Homes) Closed(namespace string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for id, h := range hs.byID {
		if _, ok := h.links[namespace]; !ok {
			continue
		}
		delete(h.links, namespace)
		if len(h.links) == 0 {
			delete(hs.byID, id)
		}
	}
}

// judge returns the links of processes that are dead since a moment ago, and those of processes to be forgotten: they were
// not heard since then.
func (hs *Homes) judge(dead, forgotten time.Time) (died, over []Links) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for id, h := range hs.byID {
		switch {
		case !h.dead && !h.heard.After(dead):
			h.dead = true
			died = append(died, maps.Clone(h.links))
		case h.dead && !h.heard.After(forgotten):
			delete(hs.byID, id)
			over = append(over, h.links)
		}
	}
	return died, over
}

// Cover returns namespaces in which all other processes hear this one: one, if they have one in common.
func (hs *Homes) Cover() []string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	before := hs.told
	hs.told = nil
	for _, h := range hs.byID {
		has := func(namespace string) bool { return h.links[namespace] != "" }
		if slices.ContainsFunc(hs.told, has) {
			continue
		}
		if i := slices.IndexFunc(before, has); i >= 0 {
			hs.told = append(hs.told, before[i])
			continue
		}
		for namespace := range h.links {
			hs.told = append(hs.told, namespace)
			break
		}
	}
	return hs.told
}

// trust is what a process knows of its own hearing.
type trust struct {
	deaf  time.Time // until when it was, as far as is known
	since time.Time // before which everything came, when it began to be deaf; zero while it is not
}

// Verdict is what [Homes.Judge] has found.
type Verdict struct {
	// Died has processes that have been silent for so long that they are taken for dead, since now.
	Died []Links
	// Over has processes that have been taken for dead for so long that they are forgotten.
	Over []Links
	// Returned says that this process was away, and hears itself again: others may have forgotten it, or have come meanwhile.
	Returned bool
}

// Judge finds processes that are dead. Proven is the time before which everything has come that this process has sent to itself
// each probing; 0 means that it does not. While it does not hear itself it can tell nothing of others: they are given the whole
// time again when it does.
func (hs *Homes) Judge(now, proven time.Time, probing time.Duration) (v Verdict) {
	t := &hs.trust
	if probing > 0 {
		switch {
		case now.Sub(proven) > probing+deafAfter:
			if t.since.IsZero() {
				t.since = proven
			}
			t.deaf = now
		case !t.since.IsZero():
			v.Returned = now.Sub(t.since) >= deadAfter
			t.since = time.Time{}
		}
	}
	if now.Sub(t.deaf) < deadAfter {
		return v
	}
	keep := hs.Keep
	if keep <= 0 {
		keep = DefaultKeep
	}
	v.Died, v.Over = hs.judge(now.Add(-deadAfter), now.Add(-keep))
	return v
}

// Deaf returns the time until which this process was deaf, as far as is known.
func (hs *Homes) Deaf() time.Time { return hs.trust.deaf }

// In returns the links of other processes in a namespace: those that are there, and those whose process is taken for dead.
func (hs *Homes) In(namespace string) (there, dead []string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, h := range hs.byID {
		switch name, ok := h.links[namespace]; {
		case !ok:
		case h.dead:
			dead = append(dead, name)
		default:
			there = append(there, name)
		}
	}
	return there, dead
}
