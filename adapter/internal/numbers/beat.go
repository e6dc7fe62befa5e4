package numbers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// Audience says who hears a message: [All], or those interested in a room.
type Audience uint64

// All are all nodes.
const All Audience = 0

// Room returns the audience of a room's name: a hash of 64 bits, the same on every node.
func Room(name string) Audience {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	if h == uint64(All) {
		h = offset
	}
	return Audience(h)
}

// digest knows a message again among a few thousand others: its checksum and its length.
type digest uint64

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // for which processors have an instruction

func digestOf(payload []byte) digest {
	return digest(crc32.Checksum(payload, castagnoli))<<32 | digest(uint32(len(payload)))
}

// Bounds of a beat. A sender has one due when it has reached a half of them.
const (
	maxRooms = 8192
	maxDoubt = 4096
	// maxPayload bounds what is published at once, which is one beat or several; more than one only if they have fewer bytes
	// together than severalBytes.
	maxPayload   = 1 + 4*binary.MaxVarintLen64 + maxRooms*(8+binary.MaxVarintLen64) + maxDoubt*16
	severalBytes = 32 << 10
)

// beat is what a publisher tells of the time since its beat before.
type beat struct {
	number uint64 // the first is 1
	all    uint64 // messages for all
	rooms  []count
	doubts []doubt
	vague  bool // there are more doubts than it says
	gone   bool // it is kept no more, and says nothing
}

// count is how many messages were for a room.
type count struct {
	room Audience
	n    uint64
}

// doubt is a message of which it is not known whether the broker took it.
type doubt struct {
	to      Audience
	message digest
}

// The flags of a beat.
const (
	flagVague = 1 << iota
	flagGone
)

const version = 1

// payloadOf returns what is published of beats: a version, and the beats.
func payloadOf(beats ...[]byte) []byte {
	return slices.Concat(append([][]byte{{version}}, beats...)...)
}

// append appends the beat's bytes: flags, its number, how many messages were for all, the rooms with how many
// there were for each, and the doubts. Numbers are varints, hashes have 8 bytes.
func (b *beat) append(dst []byte) []byte {
	flags := byte(0)
	if b.vague {
		flags |= flagVague
	}
	if b.gone {
		flags |= flagGone
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, b.number)
	dst = binary.AppendUvarint(dst, b.all)
	dst = binary.AppendUvarint(dst, uint64(len(b.rooms)))
	for _, c := range b.rooms {
		dst = binary.AppendUvarint(binary.LittleEndian.AppendUint64(dst, uint64(c.room)), c.n)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.doubts)))
	for _, d := range b.doubts {
		dst = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, uint64(d.to)), uint64(d.message))
	}
	return dst
}

// ErrBeat means that bytes are no beat.
var ErrBeat = errors.New("numbers: malformed beat")

// parse reads what was published: one beat at least.
func parse(b []byte) (beats []*beat, err error) {
	if len(b) < 2 || b[0] != version || len(b) > maxPayload {
		return nil, fmt.Errorf("%w: %d bytes", ErrBeat, len(b))
	}
	for r := (reader{rest: b[1:]}); len(r.rest) > 0; {
		p := r.beat()
		if r.bad || p.number == 0 {
			return nil, ErrBeat
		}
		beats = append(beats, p)
	}
	return beats, nil
}

// reader reads numbers until they end; then it is bad.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) beat() *beat {
	flags := r.rest[0]
	r.rest = r.rest[1:]
	p := &beat{vague: flags&flagVague != 0, gone: flags&flagGone != 0, number: r.uvarint(), all: r.uvarint()}
	p.rooms = make([]count, r.length(maxRooms, 9))
	for i := range p.rooms {
		p.rooms[i] = count{Audience(r.fixed()), r.uvarint()}
	}
	p.doubts = make([]doubt, r.length(maxDoubt, 16))
	for i := range p.doubts {
		p.doubts[i] = doubt{Audience(r.fixed()), digest(r.fixed())}
	}
	return p
}

// length reads how many elements follow, of so many bytes at least.
func (r *reader) length(most, size int) int {
	n := r.uvarint()
	if n > uint64(most) || n > uint64(len(r.rest)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

// maxCount bounds what a beat may tell, so that sums of it do not overflow.
const maxCount = 1 << 40

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > maxCount {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) fixed() uint64 {
	if len(r.rest) < 8 {
		r.bad = true
		return 0
	}
	v := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}
