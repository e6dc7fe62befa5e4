package eventlog

import (
	"errors"
	"fmt"
)

// Codes of errors, for programs: see [CodeOf].
const (
	CodeOffsetNotCovered = "offset_not_covered"
	CodeTopicEnded       = "topic_ended"
	CodeTopicDeleted     = "topic_deleted"
	CodeProducerFenced   = "producer_fenced"
	CodeProducerSequence = "producer_sequence"
	CodeInvalidBatch     = "invalid_batch"
	CodeStoreFull        = "store_full"
	CodeStoreBusy        = "store_busy"
	CodeStoreFailed      = "store_failed"
	CodeStoreClosed      = "store_closed"
	CodeStoreUncertain   = "store_uncertain"
	CodeStoreUnavailable = "store_unavailable"
)

// What topics and stores answer, found with errors.Is.
var (
	// ErrEnded says that the topic has ended: nothing can be appended, and there is nothing more to be read.
	ErrEnded = errors.New("eventlog: the topic has ended")
	// ErrDeleted says that the topic was deleted while it was in use.
	ErrDeleted = errors.New("eventlog: the topic was deleted")
	// ErrInvalid says that a name or a batch is not one: empty, or larger than the store or the topic's policy allows.
	ErrInvalid = errors.New("eventlog: invalid")
	// ErrStoreFull says that there is no room: nothing of the batch was kept. Later there may be.
	ErrStoreFull = errors.New("eventlog: the store is full")
	// ErrStoreBusy says that as many appends wait as may: nothing of the batch was kept.
	ErrStoreBusy = errors.New("eventlog: too many appends are waiting")
	// ErrStoreFailed says that the store could not write and takes nothing more until it is opened again. Of what was being
	// appended it is not known whether it is kept.
	ErrStoreFailed = errors.New("eventlog: the store has failed")
	// ErrStoreClosed says that the store was closed.
	ErrStoreClosed = errors.New("eventlog: the store is closed")
	// ErrUncertain says that the context ended while the batch was being written, or the server that keeps it did not answer: it is
	// not known whether it is kept.
	ErrUncertain = errors.New("eventlog: not known whether the batch was kept")
	// ErrStoreUnavailable says that the server of the store is not there or refuses. Later it may be, without anything being opened
	// again.
	ErrStoreUnavailable = errors.New("eventlog: the store is not available")
)

// FencedError says that another producer of the same name has taken over. Found with errors.As.
type FencedError struct {
	Producer       string
	Epoch, Current uint64 // what it came with, and the one that took over
}

// Error names the producer and both epochs.
func (e *FencedError) Error() string {
	return fmt.Sprintf("eventlog: producer %q of epoch %d was fenced by epoch %d", e.Producer, e.Epoch, e.Current)
}

// SequenceError says that batches of a producer are missing before this one. Found with errors.As.
type SequenceError struct {
	Producer      string
	Seq, Expected uint64
	NewEpoch      bool // a greater epoch than the producer had does not begin at 0
}

// Error names the producer and both numbers.
func (e *SequenceError) Error() string {
	return fmt.Sprintf("eventlog: producer %q sends number %d, the next is %d", e.Producer, e.Seq, e.Expected)
}

// CodeOf returns the code of an error of this package, or "".
func CodeOf(err error) string {
	var (
		offset   *OffsetError
		fenced   *FencedError
		sequence *SequenceError
	)
	switch {
	case errors.As(err, &offset):
		return CodeOffsetNotCovered
	case errors.As(err, &fenced):
		return CodeProducerFenced
	case errors.As(err, &sequence):
		return CodeProducerSequence
	}
	for _, c := range [...]struct {
		err  error
		code string
	}{
		{ErrUncertain, CodeStoreUncertain}, {ErrEnded, CodeTopicEnded}, {ErrDeleted, CodeTopicDeleted}, {ErrInvalid, CodeInvalidBatch},
		{ErrStoreFull, CodeStoreFull}, {ErrStoreBusy, CodeStoreBusy}, {ErrStoreFailed, CodeStoreFailed}, {ErrStoreClosed, CodeStoreClosed},
		{ErrStoreUnavailable, CodeStoreUnavailable},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ""
}
