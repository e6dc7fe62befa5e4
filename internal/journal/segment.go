package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
)

// segment is one file of a journal.
type segment struct {
	name string
	base Position // of the file's first byte
	size int64    // of the file, as far as records may go
	file File
	end  atomic.Uint64 // behind the last record
}

func (s *segment) offset(at Position) int64 { return int64(at - s.base) }

// left returns how many bytes there are behind at.
func (s *segment) left(at Position) int { return int(s.size - s.offset(at)) }

// grow begins a segment at the end of the journal. The one before must be durable.
func (j *Journal) grow() error {
	s, err := j.create(j.end)
	if err != nil {
		return err
	}
	j.segmentsMu.Lock()
	defer j.segmentsMu.Unlock()
	if full := j.current; full != nil {
		// Only for the room it takes: where it ends is known by where the next begins.
		_ = full.file.Resize(full.offset(j.end))
	}
	j.segments = append(j.segments, s)
	j.current = s
	j.end += segmentHead
	j.durable = j.end
	s.end.Store(uint64(j.end))
	return nil
}

// create makes a segment's file. It gets its name when its head is durable, so that there is none without a head.
func (j *Journal) create(base Position) (*segment, error) {
	path := filepath.Join(j.dir, unborn)
	f, err := j.disk.Create(path)
	if err != nil {
		return nil, j.roomOrFail(fmt.Errorf("make a segment: %w", err))
	}
	s := &segment{name: segmentName(base), base: base, size: j.options.SegmentSize, file: f}
	if err = f.Reserve(s.size); err == nil {
		_, err = f.WriteAt(j.key.appendSegmentHead(nil, base), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.disk.Rename(path, filepath.Join(j.dir, s.name))
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("make segment %s: %w", s.name, err), f.Close(), j.disk.Remove(path))
		return nil, j.roomOrFail(err)
	}
	if err := j.disk.SyncDir(j.dir); err != nil {
		return nil, errors.Join(j.fail(fmt.Errorf("sync the directory: %w", err)), f.Close())
	}
	return s, nil
}

// roomOrFail makes ErrFull of an error for want of room, and ends the journal for any other.
func (j *Journal) roomOrFail(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return j.fail(err)
}

// DropBefore deletes the segments that have only positions before at, oldest first, but never the one that is written to, and
// returns the first position that is left.
func (j *Journal) DropBefore(at Position) (first Position, err error) {
	j.segmentsMu.Lock()
	defer j.segmentsMu.Unlock()
	if len(j.segments) == 0 {
		return 0, ErrClosed
	}
	for len(j.segments) > 1 && j.segments[1].base <= at {
		s := j.segments[0]
		err := j.disk.Remove(filepath.Join(j.dir, s.name))
		if err == nil {
			// One after another: of two that are deleted the later alone may be gone after a loss of power.
			err = j.disk.SyncDir(j.dir)
		}
		if err != nil {
			return s.base, fmt.Errorf("journal: delete %s: %w", s.name, err)
		}
		_ = s.file.Close() // it was only read from
		j.segments = j.segments[1:]
	}
	return j.segments[0].base, nil
}

// Segments returns where each segment begins, oldest first, and the end of the last.
func (j *Journal) Segments() (bases []Position, end Position) {
	j.segmentsMu.RLock()
	defer j.segmentsMu.RUnlock()
	for _, s := range j.segments {
		bases = append(bases, s.base)
		end = Position(s.end.Load())
	}
	return bases, end
}
