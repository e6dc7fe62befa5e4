// Package pealwire is what Peal's nodes send each other where no other is meant to read it: bytes that are short, that are made
// without a look into the message, and of which a node that does not need the message reads no more than that. It is pure.
//
// A frame is
//
//	kind      1 byte
//	uid       6 bytes, the name of the link that sends it
//	number    8 bytes, big-endian: numbers of one link grow. It stands where it can be set last, by whoever brings the
//	          frames of many goroutines into one order
//
// and behind that, for a beat and what belongs to it, something that is not this package's business; for a broadcast,
//
//	flags     1 byte: 1 means volatile
//	rooms     how many, and each behind its length
//	except    likewise
//	event     the JSON array of the message behind its length, as it is
//	binaries  how many, and each behind its length
//
// Lengths and counts are varints. Nothing stands behind the last.
package pealwire
