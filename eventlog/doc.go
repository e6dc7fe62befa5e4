// Package eventlog keeps what was broadcast lately, in one order, so that a member who was away for a moment can be given
// what it missed: all of it, once, in order, or nothing.
//
// Each entry has an [message.Offset]. A log covers the offsets from its floor to its top: the floor is the highest offset
// of which an entry may be missing, because it was trimmed or because the log did not exist yet. A reader that stands
// below the floor gets an [*OffsetError] and never a part of the rest.
//
// [Memory] is a log of one process. Logs are held to the conformance suite of package logtest.
package eventlog
