package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Head is the beginning of an HTTP response.
type Head struct {
	Status  int
	Length  int  // of the body; -1 if the head does not say
	Chunked bool // the body comes in chunks
}

// maxHead bounds the length of a head, so that a peer that speaks another protocol is found out.
const maxHead = 16 << 10

// DecodeHead reads the head at the start of p and returns its length with the empty line, or 0 if p does not hold all of
// it yet.
func DecodeHead(p []byte) (h Head, size int, err error) {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		if len(p) > maxHead {
			return h, 0, errors.New("the answer is not HTTP, or has a very long head")
		}
		return h, 0, nil
	}
	first, rest, _ := strings.Cut(string(p[:end]), "\r\n")
	version, status, _ := strings.Cut(first, " ")
	h.Status, err = strconv.Atoi(status[:min(3, len(status))])
	if err != nil || !strings.HasPrefix(version, "HTTP/1.") {
		return h, 0, fmt.Errorf("the answer is not HTTP/1: %.60q", first)
	}
	h.Length = -1
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(name, "Content-Length"):
			if h.Length, err = strconv.Atoi(value); err != nil || h.Length < 0 {
				return h, 0, fmt.Errorf("the answer has the Content-Length %q", value)
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			h.Chunked = strings.EqualFold(value, "chunked")
		}
	}
	return h, end + 4, nil
}

// DecodeChunk reads the chunk at the start of p (RFC 9112 section 7.1) and returns its length, or 0 if p does not hold all
// of it yet. The last chunk has no data.
func DecodeChunk(p []byte) (data []byte, size int, err error) {
	line := bytes.IndexByte(p, '\n')
	if line < 0 {
		if len(p) > 64 {
			return nil, 0, errors.New("the length of a chunk is missing")
		}
		return nil, 0, nil
	}
	text, _, _ := strings.Cut(strings.TrimSuffix(string(p[:line]), "\r"), ";")
	n, err := strconv.ParseUint(strings.TrimSpace(text), 16, 31)
	if err != nil {
		return nil, 0, fmt.Errorf("a chunk has the length %.20q", text)
	}
	start := line + 1
	end := start + int(n)
	if len(p) < end+2 {
		return nil, 0, nil
	}
	return p[start:end:end], end + 2, nil
}
