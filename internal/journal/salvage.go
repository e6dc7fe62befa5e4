package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Range is a part of a journal.
type Range struct{ From, To Position }

// Salvaged says what [Salvage] found.
type Salvaged struct {
	Records int     // that were saved
	Lost    []Range // where none were found, with positions of the damaged journal
}

// Salvage copies every record that is whole from the journal in one directory into a new one in another, which must have
// none, in their order. It changes nothing in the first. Positions become others.
func Salvage(ctx context.Context, from, to string, o *Options) (found Salvaged, err error) {
	options := o.withDefaults()
	lock, err := options.Disk.Lock(from)
	if err != nil {
		return found, fmt.Errorf("journal: lock %s: %w", from, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	fresh, err := Open(to, o, func(Position, []byte) error { return fmt.Errorf("journal: salvage: there is a journal in %s", to) })
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	segments, k, err := openForSalvage(options.Disk, from)
	defer func() {
		for _, s := range segments {
			err = errors.Join(err, s.file.Close())
		}
	}()
	if err != nil {
		return found, err
	}
	for i, s := range segments {
		if i+1 < len(segments) {
			next := segments[i+1].base
			if whole := s.offset(next); whole > s.size {
				found.lose(s.base+Position(s.size), next)
			} else {
				s.size = whole
			}
		}
		if err := found.salvage(ctx, newReader(k, s), fresh, i+1 == len(segments)); err != nil {
			return found, err
		}
	}
	slices.SortFunc(found.Lost, func(a, b Range) int { return int(a.From) - int(b.From) })
	return found, nil
}

// openForSalvage opens the segments of a directory that begin as segments. Those that do not are named by their file: they
// are read with the key of the others.
func openForSalvage(d Disk, dir string) (segments []*segment, k key, err error) {
	names, err := d.List(dir)
	if err != nil {
		return nil, k, fmt.Errorf("journal: list %s: %w", dir, err)
	}
	known := false
	for _, name := range names {
		if !isSegment(name) {
			continue
		}
		f, err := d.Open(filepath.Join(dir, name))
		if err != nil {
			return segments, k, fmt.Errorf("journal: %w", err)
		}
		s, its, err := readSegmentHead(f, name)
		var damage *DamageError
		if errors.As(err, &damage) {
			var base uint64
			if _, err := fmt.Sscanf(name, "%016x.seg", &base); err != nil {
				return segments, k, errors.Join(damage, f.Close())
			}
			size, err := f.Size()
			if err != nil {
				return segments, k, errors.Join(err, f.Close())
			}
			s = &segment{name: name, base: Position(base), size: size &^ (align - 1), file: f}
		} else if err != nil {
			return segments, k, errors.Join(err, f.Close())
		} else if !known {
			k, known = its, true
		}
		segments = append(segments, s)
	}
	if len(segments) > 0 && !known {
		err = &DamageError{Segment: segments[0].name, Reason: "no segment begins as one, and without its key no record can be told"}
	}
	return segments, k, err
}

// salvage appends what is whole of a segment to fresh.
func (f *Salvaged) salvage(ctx context.Context, r *reader, fresh *Journal, last bool) error {
	for {
		record, err := r.next()
		switch {
		case err == nil:
			if _, err := fresh.Append(ctx, InOS, record); err != nil {
				return err
			}
			f.Records++
		case errors.Is(err, errEnd) || errors.Is(err, errBad):
			from := r.position()
			found, err := r.resync()
			if err != nil {
				return err
			}
			if found || !last {
				f.lose(from, r.position())
			}
			if !found {
				return nil
			}
		default:
			return fmt.Errorf("journal: read %s: %w", r.s.name, err)
		}
	}
}

func (f *Salvaged) lose(from, to Position) {
	if from < to {
		f.Lost = append(f.Lost, Range{From: from, To: to})
	}
}

// resync goes to where records can be told again: right behind the bad one, if its length can be believed, or at the next
// mark, whichever comes first. It reports false at the end of the segment.
func (r *reader) resync() (found bool, err error) {
	from := r.offset
	var behind int64
	if b, err := r.in.Peek(headSize); err == nil {
		if h := parseHead(b); !h.end {
			behind = from + int64(spanOf(h.length))
		}
	}
	for r.offset+markSize <= r.s.size {
		b, err := r.in.Peek(markSize)
		if len(b) < markSize {
			if err = r.short(err); errors.Is(err, errEnd) || errors.Is(err, errBad) {
				break // the file is shorter than it should be
			}
			return false, fmt.Errorf("journal: read %s: %w", r.s.name, err)
		}
		if _, ok := r.key.parseMark(b, r.position()); ok {
			return true, nil
		}
		if r.offset == behind {
			_, err := r.next()
			if r.seek(behind); err == nil {
				return true, nil
			}
		}
		_, _ = r.in.Discard(align)
		r.offset += align
	}
	r.offset = r.s.size
	return false, nil
}
