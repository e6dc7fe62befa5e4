package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// Position is a place in a journal: how many bytes are before it since the journal was made, deleted ones too. Zero is no
// record's place.
type Position uint64

// A record is its checksum (CRC32C) and its length, four bytes each with the lowest first, and then its bytes, filled up
// with zeros to a multiple of 8. Eight zeros stand behind the last one. A mark is a record of 8 bytes that is told by a bit
// of its length.
const (
	align      = 8
	headSize   = 8
	markBit    = 1 << 31
	markLength = 8
	markSize   = headSize + markLength
)

// key is what checksums begin with: it is another for each journal.
type key [8]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum returns the checksum of a record at a position, of which framed is everything but the checksum.
func (k key) sum(at Position, framed []byte) uint32 {
	var seed [len(k) + 8]byte
	copy(seed[:], k[:])
	binary.LittleEndian.PutUint64(seed[len(k):], uint64(at))
	return crc32.Update(crc32.Update(0, castagnoli, seed[:]), castagnoli, framed)
}

// spanOf returns how many bytes a record of n bytes takes.
func spanOf(n int) int { return (headSize + n + align - 1) &^ (align - 1) }

// openRecord appends the place of a head to dst. What the caller appends then is the record, which closeRecord completes.
func openRecord(dst []byte) []byte { return append(dst, make([]byte, headSize)...) }

// closeRecord fills dst up behind the record that was opened at from. Its checksum comes with seal.
func closeRecord(dst []byte, from int) []byte {
	n := len(dst) - from - headSize
	binary.LittleEndian.PutUint32(dst[from+4:], uint32(n))
	return append(dst, make([]byte, spanOf(n)-headSize-n)...)
}

// seal sets the checksum of the record at the beginning of b, of n bytes, which is to lie at that position.
func (k key) seal(b []byte, n int, at Position) {
	binary.LittleEndian.PutUint32(b, k.sum(at, b[4:headSize+n]))
}

// appendMark appends a mark that is to lie at that position.
func (k key) appendMark(dst []byte, at, durable Position) []byte {
	from := len(dst)
	dst = append(dst, make([]byte, markSize)...)
	b := dst[from:]
	binary.LittleEndian.PutUint32(b[4:], markLength|markBit)
	binary.LittleEndian.PutUint64(b[headSize:], uint64(durable))
	k.seal(b, markLength, at)
	return dst
}

// A head is what stands before the bytes of a record.
type head struct {
	length int
	mark   bool
	end    bool // no record at all: the end
}

// parseHead reads a head from the first 8 bytes of b.
func parseHead(b []byte) head {
	length := binary.LittleEndian.Uint32(b[4:])
	if length == 0 && binary.LittleEndian.Uint32(b) == 0 {
		return head{end: true}
	}
	return head{length: int(length &^ markBit), mark: length&markBit != 0}
}

// verify reports whether b, a head and the length bytes behind it, is the record that was written at that position.
func (k key) verify(b []byte, at Position) bool {
	return binary.LittleEndian.Uint32(b) == k.sum(at, b[4:])
}

// parseMark returns what the mark at the beginning of b says, if there is one that was written at that position.
func (k key) parseMark(b []byte, at Position) (durable Position, ok bool) {
	if len(b) < markSize || binary.LittleEndian.Uint32(b[4:]) != markLength|markBit || !k.verify(b[:markSize], at) {
		return 0, false
	}
	durable = Position(binary.LittleEndian.Uint64(b[headSize:]))
	return durable, durable <= at
}

// A segment's file begins with what it is, the key of its journal, its position and a checksum of these.
const (
	magic       = "pealjrn1"
	segmentHead = 32
)

func (k key) appendSegmentHead(dst []byte, base Position) []byte {
	from := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, k[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(base))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
	return append(dst, 0, 0, 0, 0)
}

func parseSegmentHead(b []byte) (k key, base Position, ok bool) {
	const sumAt = len(magic) + len(k) + 8
	if len(b) < segmentHead || string(b[:len(magic)]) != magic || crc32.Checksum(b[:sumAt], castagnoli) != binary.LittleEndian.Uint32(b[sumAt:]) || !blank(b[sumAt+4:segmentHead]) {
		return k, 0, false
	}
	copy(k[:], b[len(magic):])
	return k, Position(binary.LittleEndian.Uint64(b[len(magic)+len(k):])), true
}
