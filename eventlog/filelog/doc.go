// Package filelog keeps topics in a directory, without a server: what was acknowledged is there after the process has died,
// and with [eventlog.Disk], the default, after a loss of power.
//
// All topics of a store are in one journal, so that all who append at once share one fsync. What retention leaves of a part of
// the journal, whose size is that of Options.SegmentSize, is written again behind its end before the part is deleted. In memory
// there are about 64 bytes for each batch that is kept, and what topics know of keys and producers.
package filelog
