package chaos

import (
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// Report is what a fault cost, over all pairs of a publisher and another node, and both audiences.
type Report struct {
	Accepted   int   // messages that the driver took
	Refused    int   // messages that it did not take, with an error
	Error      error // the last of these
	Due        int   // arrivals of accepted messages that there should have been
	Lost       int   // of these, how many there were not
	Twice      int   // arrivals of what had arrived before
	Disordered int   // arrivals of what was published before something that had arrived
	// Local counts what was lost, came twice or disordered on the node that published it, of all it tried.
	Local int
	// Aside is how much was refused, lost, came twice or disordered between nodes that were not hit.
	Aside int
	// Heal is the time from the end of the fault to the first arrival behind which nothing was missing, at the pair that
	// took longest. A pair to which no message was missing at all counts too: somebody had to wait for it.
	Heal time.Duration
	// Found is how many messages the nodes know to be lost, which for a wire that counts is what was.
	Found uint64
	// Counting is how long after the last message that was known, for a wire that counts.
	Counting time.Duration
	// Gaps is how many gaps the nodes told of.
	Gaps uint64
	// Unsaid counts the nodes that lost something and told of no gap.
	Unsaid int
}

// String returns the figures in one line.
func (r *Report) String() string {
	return fmt.Sprintf("healed in %v; accepted %d, refused %d; of %d arrivals lost %d, twice %d, out of order %d; found lost %d in %v; here %d; aside %d; %d gaps, unsaid by %d",
		r.Heal.Round(time.Millisecond), r.Accepted, r.Refused, r.Due, r.Lost, r.Twice, r.Disordered, r.Found, r.Counting.Round(time.Millisecond), r.Local, r.Aside, r.Gaps, r.Unsaid)
}

func evaluate(nodes []*node, hit int, back time.Time) *Report {
	r := new(Report)
	for _, publisher := range nodes {
		for _, sent := range publisher.sent {
			for _, s := range sent {
				if s.err == nil {
					r.Accepted++
				} else {
					r.Refused++
					r.Error = s.err
				}
			}
		}
	}
	for i, receiver := range nodes {
		lost := r.Lost
		for j, publisher := range nodes {
			for a := range audiences {
				if i == j {
					local := new(Report)
					local.count(all(publisher.sent[a]), receiver.ear.heard[a][j], back)
					r.Local += local.Lost + local.Twice + local.Disordered
					continue
				}
				r.count(publisher.sent[a], receiver.ear.heard[a][j], back)
				if hit > 0 && i >= hit && j >= hit {
					aside := new(Report)
					aside.count(all(publisher.sent[a]), receiver.ear.heard[a][j], back)
					r.Aside += aside.Lost + aside.Twice + aside.Disordered
				}
			}
		}
		r.Found += receiver.stats().Lost
		gaps := receiver.gaps()
		r.Gaps += gaps
		if r.Lost > lost && gaps == 0 {
			r.Unsaid++
		}
	}
	return r
}

// gaps returns how many the driver has told of.
func (n *node) gaps() (all uint64) {
	for _, count := range n.stats().Gaps {
		all += count
	}
	return all
}

func (n *node) stats() adapter.DriverStats {
	return n.driver.(interface{ Stats() adapter.DriverStats }).Stats()
}

// all are the sendings as if each had been accepted.
func all(sent []sending) []sending {
	out := make([]sending, len(sent))
	for i := range sent {
		out[i].at = sent[i].at
	}
	return out
}

// count adds what became of one publisher's messages at one node.
func (r *Report) count(sent []sending, heard []receipt, back time.Time) {
	arrived := make([]time.Time, len(sent))
	highest := -1
	for _, h := range heard {
		if !arrived[h.number].IsZero() {
			r.Twice++
			continue
		}
		arrived[h.number] = h.arrived
		if h.number < highest {
			r.Disordered++
		}
		highest = max(highest, h.number)
	}
	whole := len(sent) // the first number behind which nothing accepted is missing
	for n := len(sent) - 1; n >= 0; n-- {
		if sent[n].err == nil && arrived[n].IsZero() {
			break
		}
		whole = n
	}
	for n, s := range sent {
		if s.err == nil {
			r.Due++
			if arrived[n].IsZero() {
				r.Lost++
			}
		}
	}
	for n := whole; n < len(sent); n++ {
		if sent[n].at.After(back) && !arrived[n].IsZero() {
			r.Heal = max(r.Heal, arrived[n].Sub(back))
			return
		}
	}
	r.Heal = max(r.Heal, time.Since(back)) // it did not heal
}
