package eventlog

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/peal-dev/peal/message"
)

// An offset of a [Memory] is "<ms>-<seq>" with the life of the log in the upper half of seq and the number of the entry in
// the lower. The life is random: offsets of another node, or of this one before it was restarted, are known as strange
// though their time fits. It is small enough for seq to be exact in JavaScript.
const (
	numberBits = 32
	lifeBits   = 20
)

func newLife() uint64 { return 1 + rand.Uint64N(1<<lifeBits-1) }

func lifeOf(o message.Offset) uint64 { return o.Seq >> numberBits }

// next returns the offset behind top at the time now, in milliseconds. A clock that goes back does not move it. Numbers
// begin anew after 2³², without 0.
func next(top message.Offset, now uint64) message.Offset {
	number := uint32(top.Seq) + 1
	o := message.Offset{Ms: max(top.Ms, now)}
	if number == 0 {
		number = 1
		o.Ms = max(o.Ms, top.Ms+1) // offsets never go back
	}
	o.Seq = lifeOf(top)<<numberBits | uint64(number)
	return o
}

// before returns the offset right before o.
func before(o message.Offset) message.Offset {
	if o.Seq == 0 {
		return message.Offset{Ms: o.Ms - 1, Seq: math.MaxUint64}
	}
	return message.Offset{Ms: o.Ms, Seq: o.Seq - 1}
}

// At returns the place at the time t in the log that top is an offset of: behind what was appended before that millisecond.
func At(top message.Offset, t time.Time) message.Offset {
	return message.Offset{Ms: uint64(max(t.UnixMilli(), 0)), Seq: lifeOf(top) << numberBits}
}

// SameLog reports whether both offsets are of one [Memory].
func SameLog(a, b message.Offset) bool { return lifeOf(a) == lifeOf(b) }

// Number returns the place of o among the entries of its log, from 1 on; 0 means none. It overflows.
func Number(o message.Offset) uint32 { return uint32(o.Seq) }
