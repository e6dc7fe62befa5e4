package journal

import (
	"errors"
	"fmt"
	"syscall"
)

// What a journal answers, found with errors.Is.
var (
	// ErrFull says that the disk, a quota or a limit of the process left no room: nothing of the append was kept. The next
	// one tries again.
	ErrFull = errors.New("journal: no room on the disk")
	// ErrFailed says that a write or an fsync failed and that the journal takes nothing more until it is opened again. Of
	// the appends that were under way it is not known whether they are kept.
	ErrFailed = errors.New("journal: failed, open it again")
	// ErrClosed says that the journal is closed.
	ErrClosed = errors.New("journal: closed")
	// ErrBusy says that as many appends wait as may.
	ErrBusy = errors.New("journal: too many appends are waiting")
	// ErrTooLarge says that a record is empty or larger than Options.MaxRecord.
	ErrTooLarge = errors.New("journal: the record is empty or too large")
	// ErrUncertain says that the caller's context ended while its record was being written: it may be kept or not.
	ErrUncertain = errors.New("journal: not known whether the record was kept")
	// ErrLocked says that another process has the directory.
	ErrLocked = errors.New("journal: another process uses the directory")
	// ErrGone says that the segment with the record was deleted.
	ErrGone = errors.New("journal: the record was deleted")
)

// DamageError says where a journal is damaged before its end. Found with errors.As. [Salvage] saves the rest.
type DamageError struct {
	Segment  string   // name of the file
	Offset   int64    // in the file, in bytes
	Position Position // in the journal
	Reason   string
}

// Error names the file and the place.
func (e *DamageError) Error() string {
	return fmt.Sprintf("journal: %s is damaged at byte %d (position %d): %s", e.Segment, e.Offset, e.Position, e.Reason)
}

// isFull reports whether the system refused for want of room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) || errors.Is(err, errDiskFull)
}
