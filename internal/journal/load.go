package journal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// load opens the segments, reads every record and makes the end ready to be written to.
func (j *Journal) load(replay func(Position, []byte) error) error {
	names, err := j.disk.List(j.dir)
	if err != nil {
		return fmt.Errorf("journal: list %s: %w", j.dir, err)
	}
	if slices.Contains(names, unborn) {
		if err := j.disk.Remove(filepath.Join(j.dir, unborn)); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !isSegment(n) })
	if len(names) == 0 {
		_, _ = rand.Read(j.key[:]) // never fails
		if err := j.grow(); err != nil {
			return err
		}
		j.recovery.End = j.end
		return nil
	}
	for i, name := range names {
		s, err := j.open(name, i == 0)
		if err != nil {
			return err
		}
		j.segments = append(j.segments, s)
	}
	for i, s := range j.segments {
		if i+1 < len(j.segments) {
			s.size = s.offset(j.segments[i+1].base)
		}
		if err := j.replay(s, i+1 == len(j.segments), replay); err != nil {
			return err
		}
	}
	return j.ready()
}

// open opens a segment and reads its head. The first tells the key of all.
func (j *Journal) open(name string, first bool) (*segment, error) {
	f, err := j.disk.Open(filepath.Join(j.dir, name))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	s, k, err := readSegmentHead(f, name)
	if err == nil && !first && k != j.key {
		err = s.damage(s.base, "the segment is of another journal")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	j.key = k
	return s, nil
}

func readSegmentHead(f File, name string) (*segment, key, error) {
	size, err := f.Size()
	if err != nil {
		return nil, key{}, fmt.Errorf("journal: %w", err)
	}
	var b [segmentHead]byte
	if size >= segmentHead {
		if err := readFull(f, b[:], 0); err != nil {
			return nil, key{}, fmt.Errorf("journal: read %s: %w", name, err)
		}
	}
	k, base, ok := parseSegmentHead(b[:])
	s := &segment{name: name, base: base, size: size &^ (align - 1), file: f}
	if !ok || segmentName(base) != name {
		return nil, k, &DamageError{Segment: name, Reason: "it does not begin as a segment of this name"}
	}
	return s, k, nil
}

// replay hands on the records of a segment. What does not verify is damage, or at the very end of the journal torn.
func (j *Journal) replay(s *segment, last bool, replay func(Position, []byte) error) error {
	r := newReader(j.key, s)
	for {
		record, err := r.next()
		switch {
		case err == nil:
			j.recovery.Records++
			if err := replay(r.at, record); err != nil {
				return fmt.Errorf("journal: replay the record at %d: %w", r.at, err)
			}
		case errors.Is(err, errEnd), errors.Is(err, errBad):
			if !last {
				if r.offset < s.size {
					return s.damage(r.position(), "the segment should go on here")
				}
				s.end.Store(uint64(r.position()))
				return nil
			}
			torn, err := r.tail()
			if err != nil {
				return err
			}
			s.end.Store(uint64(r.position()))
			j.recovery.Torn = torn
			return nil
		default:
			return fmt.Errorf("journal: read %s: %w", s.name, err)
		}
	}
}

// ready makes the last segment ready to be written to behind its last record.
func (j *Journal) ready() error {
	s := j.segments[len(j.segments)-1]
	j.current = s
	j.end = Position(s.end.Load())
	j.recovery.End = j.end
	j.recovery.Bytes = int64(j.end - j.segments[0].base)
	// What was cut off must not be there any more when records of the same length are written in its place.
	err := s.file.Resize(s.offset(j.end))
	if err == nil {
		s.size = max(j.options.SegmentSize, s.offset(j.end))
		if err = s.file.Reserve(s.size); isFull(err) {
			err = nil // it opens all the same: there is something to be read, and perhaps to be deleted
		}
	}
	if err == nil {
		err = s.file.Sync() // a process that was killed may have left records that are in memory only
	}
	if err != nil {
		return fmt.Errorf("journal: prepare %s: %w", s.name, err)
	}
	j.durable = j.end
	return nil
}

var (
	errEnd = errors.New("the end")
	errBad = errors.New("no record")
)

// reader reads a segment from its head on.
type reader struct {
	key    key
	s      *segment
	in     *bufio.Reader
	offset int64    // of what comes next
	at     Position // of the record that was read last
	buf    []byte
}

func newReader(k key, s *segment) *reader {
	r := &reader{key: k, s: s}
	r.seek(segmentHead)
	return r
}

// readAhead is how much is read at once.
const readAhead = 256 << 10

// seek goes on at an offset.
func (r *reader) seek(offset int64) {
	r.offset = offset
	section := io.NewSectionReader(r.s.file, offset, max(r.s.size-offset, 0))
	if r.in == nil {
		r.in = bufio.NewReaderSize(section, readAhead)
	} else {
		r.in.Reset(section)
	}
}

func (r *reader) position() Position { return r.s.base + Position(r.offset) }

// next returns the next record, of which the bytes are the caller's until the next call; errEnd or errBad, when there is no
// record and nothing was skipped; or what reading failed with.
func (r *reader) next() ([]byte, error) {
	for {
		b, err := r.in.Peek(headSize)
		if err != nil {
			return nil, r.short(err)
		}
		h := parseHead(b)
		if h.end {
			return nil, errEnd
		}
		span := int64(spanOf(h.length))
		if h.length == 0 || h.mark && h.length != markLength || span > r.s.size-r.offset {
			return nil, errBad
		}
		if int64(cap(r.buf)) < span {
			r.buf = make([]byte, span)
		}
		b = r.buf[:span]
		if _, err := io.ReadFull(r.in, b); err != nil {
			return nil, r.short(err)
		}
		at := r.position()
		if !r.key.verify(b[:headSize+h.length], at) || !blank(b[headSize+h.length:]) {
			r.seek(r.offset) // the reader stands before it again
			return nil, errBad
		}
		r.offset += span
		if !h.mark {
			r.at = at
			return b[headSize : headSize+h.length], nil
		}
	}
}

// short makes errEnd of the end of the file where a record could have been, and errBad where one is cut.
func (r *reader) short(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errBad
	case !errors.Is(err, io.EOF):
		return err
	case r.s.size-r.offset >= headSize:
		return errBad // the file is shorter than it said
	}
	return errEnd
}

// tail looks at what is behind the last record of a journal. It returns how many bytes of it are not blank, or damage if a
// mark there says that more was durable.
func (r *reader) tail() (torn int64, err error) {
	from := r.offset
	end := r.s.base + Position(from)
	r.seek(from)
	for r.offset+align <= r.s.size {
		b, err := r.in.Peek(markSize)
		if len(b) < align {
			if err != nil && !errors.Is(err, io.EOF) {
				return 0, fmt.Errorf("journal: read %s: %w", r.s.name, err)
			}
			break
		}
		if durable, ok := r.key.parseMark(b, r.position()); ok && durable > end {
			return 0, r.s.damage(end, fmt.Sprintf("everything up to position %d was on the disk", durable))
		}
		if !blank(b[:align]) {
			torn = r.offset + align - from
		}
		_, _ = r.in.Discard(align)
		r.offset += align
	}
	r.seek(from)
	return torn, nil
}

var zeros [4096]byte

// blank reports whether b, of at most 4096 bytes, has only zeros.
func blank(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }
