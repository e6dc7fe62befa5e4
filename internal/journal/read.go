package journal

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// firstRead is how much is read at least, so that most records need one read.
const firstRead = 1024

// Read returns the record at a position that the journal has told. It appends it to buf[:0], which may be nil. It fails with
// ErrGone when the record was deleted and with a *DamageError when it is not what was written.
func (j *Journal) Read(at Position, buf []byte) ([]byte, error) {
	j.segmentsMu.RLock()
	defer j.segmentsMu.RUnlock() // a segment is not closed while it is read
	if len(j.segments) == 0 {
		return nil, ErrClosed
	}
	i, found := slices.BinarySearchFunc(j.segments, at, func(s *segment, at Position) int {
		if s.base > at {
			return 1
		}
		return -1
	})
	if found || i == 0 {
		return nil, ErrGone
	}
	s := j.segments[i-1]
	end := Position(s.end.Load())
	if at < s.base+segmentHead || at+headSize > end || at%align != 0 {
		return nil, fmt.Errorf("journal: there is no record at position %d", at)
	}
	return j.read(s, at, int(end-at), buf)
}

// read reads the record at a position of s, behind which there are left bytes.
func (j *Journal) read(s *segment, at Position, left int, buf []byte) ([]byte, error) {
	b := slices.Grow(buf[:0], min(left, firstRead))
	b = b[:min(left, cap(b))]
	if err := readFull(s.file, b, s.offset(at)); err != nil {
		return nil, fmt.Errorf("journal: read %s: %w", s.name, err)
	}
	h := parseHead(b)
	if h.end || h.mark || h.length == 0 || headSize+h.length > left {
		return nil, s.damage(at, "no record begins here")
	}
	if have := len(b); have < headSize+h.length {
		b = slices.Grow(b, headSize+h.length-have)[:headSize+h.length]
		if err := readFull(s.file, b[have:], s.offset(at)+int64(have)); err != nil {
			return nil, fmt.Errorf("journal: read %s: %w", s.name, err)
		}
	}
	b = b[:headSize+h.length]
	if !j.key.verify(b, at) {
		return nil, s.damage(at, "the checksum is wrong")
	}
	return append(b[:0], b[headSize:]...), nil
}

// readFull fills b from f.
func readFull(f File, b []byte, offset int64) error {
	n, err := f.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (s *segment) damage(at Position, reason string) *DamageError {
	return &DamageError{Segment: s.name, Offset: s.offset(at), Position: at, Reason: reason}
}
