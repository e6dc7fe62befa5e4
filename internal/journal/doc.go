// Package journal keeps records in a directory, in the order in which they were appended, so that what was acknowledged is
// there after the process or the machine has died.
//
// The journal is cut into segments: files that are preallocated, filled one after another and deleted whole from the front.
// Each record has a checksum over itself and its [Position], which never comes again, so that nothing that lay there before
// can be taken for a record.
//
// One goroutine writes. Whoever appends while it waits for the disk is in its next turn: one write and one fsync for all of
// them (group commit). A turn begins with a mark that says up to where everything was on the disk by then. That is how
// [Open] tells a torn end from damage: what fails its checksum behind the last mark's word was never acknowledged as
// durable and is cut off, and said to be; what fails it before is damage and is refused with its position, never skipped.
// [Salvage] saves what is left into another directory.
//
// A full disk fails the appends of that moment with [ErrFull] and nothing else: the next one tries again. A failed fsync
// ends the journal ([ErrFailed]), because the kernel may have dropped what was not written and a second fsync would not
// say so: open it again to learn what is there.
//
// docs/decisions/0033-own-journal.md says why this is no foreign engine, and what was measured.
package journal
