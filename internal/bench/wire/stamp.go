package wire

import (
	"bytes"
	"time"
)

// Stamp is what a message says of itself. It is text, so that it passes through any server unchanged, and stands
// somewhere in the message's bytes.
type Stamp struct {
	Run   uint32        // tells this run's messages from those of others
	Topic uint32        // whom it is for
	Seq   uint32        // number within the topic
	At    time.Duration // when it was sent, on the sender's clock
}

const (
	stampMark = "peal:"
	// StampSize is the length of a stamp.
	StampSize = len(stampMark) + 3*8 + 16
)

// AppendStamp appends s to dst and returns the extended slice.
func AppendStamp(dst []byte, s Stamp) []byte {
	dst = append(dst, stampMark...)
	dst = appendHex(dst, uint64(s.Run), 8)
	dst = appendHex(dst, uint64(s.Topic), 8)
	dst = appendHex(dst, uint64(s.Seq), 8)
	return appendHex(dst, uint64(s.At), 16)
}

// AppendPadded appends s and as many further characters as make size bytes; a size below StampSize counts as StampSize.
func AppendPadded(dst []byte, s Stamp, size int) []byte {
	dst = AppendStamp(dst, s)
	for range size - StampSize {
		dst = append(dst, 'x')
	}
	return dst
}

// FindStamp returns the first stamp in p.
func FindStamp(p []byte) (s Stamp, ok bool) {
	at := bytes.Index(p, []byte(stampMark))
	if at < 0 || len(p)-at < StampSize {
		return s, false
	}
	p = p[at+len(stampMark):]
	run, ok1 := parseHex(p[:8])
	topic, ok2 := parseHex(p[8:16])
	seq, ok3 := parseHex(p[16:24])
	sent, ok4 := parseHex(p[24:40])
	return Stamp{uint32(run), uint32(topic), uint32(seq), time.Duration(sent)}, ok1 && ok2 && ok3 && ok4
}

const digits = "0123456789abcdef"

func appendHex(dst []byte, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, digits[v>>(4*i)&0xf])
	}
	return dst
}

func parseHex(p []byte) (v uint64, ok bool) {
	for _, c := range p {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
