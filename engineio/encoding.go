package engineio

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// announced reports whether somebody between a handler and its client has said that they encode the answer, or may do so
// by what the client accepts. Then it is theirs to encode and to count: every compressing middleware says so beforehand by
// Vary, if not by Content-Encoding.
func announced(h http.Header) bool {
	return len(h["Content-Encoding"]) > 0 || hasToken(h, "Vary", "Accept-Encoding") || hasToken(h, "Vary", "*")
}

// encode compresses an answer if the client accepts that and it is not somebody else's to do. What it returns is to be
// written whole.
func (s *Server) encode(h http.Header, r *http.Request, payload []byte) []byte {
	if announced(h) {
		return payload
	}
	if threshold := s.opts.CompressionThreshold; threshold >= 0 && len(payload) >= threshold {
		payload = compress(h, strings.Join(r.Header["Accept-Encoding"], ","), payload)
	}
	h.Set("Content-Length", strconv.Itoa(len(payload)))
	return payload
}

// compress compresses payload in the way that the client likes best, rather gzip than deflate.
func compress(h http.Header, accept string, payload []byte) []byte {
	h.Add("Vary", "Accept-Encoding")
	var out bytes.Buffer
	var zw io.WriteCloser
	switch byGzip, byDeflate := quality(accept, "gzip"), quality(accept, "deflate"); {
	case byGzip > 0 && byGzip >= byDeflate:
		h.Set("Content-Encoding", "gzip")
		zw = gzip.NewWriter(&out)
	case byDeflate > 0:
		h.Set("Content-Encoding", "deflate")
		zw = zlib.NewWriter(&out)
	default:
		return payload
	}
	_, _ = zw.Write(payload) // a buffer takes everything
	_ = zw.Close()
	return out.Bytes()
}

// quality returns the weight from 0, for no, to 1000 that an Accept-Encoding header gives an encoding (RFC 9110, section
// 12.5.3). An encoding that is not named has that of "*". What cannot be read is a no: plain text is always right.
func quality(accept, encoding string) int {
	best, others := -1, 0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, weighted := strings.Cut(part, ";")
		name = strings.TrimSpace(name)
		weight := 1000
		if weighted {
			weight = parseWeight(params)
		}
		switch {
		case strings.EqualFold(name, encoding), encoding == "gzip" && strings.EqualFold(name, "x-gzip"):
			best = max(best, weight)
		case name == "*":
			others = weight
		}
	}
	if best >= 0 {
		return best
	}
	return others
}

// parseWeight reads "q=0.5" as 500, with at most three digits behind the point.
func parseWeight(s string) int {
	name, value, _ := strings.Cut(s, "=")
	whole, fraction, pointed := strings.Cut(strings.TrimSpace(value), ".")
	if !strings.EqualFold(strings.TrimSpace(name), "q") || len(fraction) > 3 || (pointed && whole == "") {
		return 0
	}
	thousandths := 0
	for i := range 3 {
		digit := byte('0')
		if i < len(fraction) {
			digit = fraction[i]
		}
		if digit < '0' || digit > '9' {
			return 0
		}
		thousandths = thousandths*10 + int(digit-'0')
	}
	switch {
	case whole == "0":
		return thousandths
	case whole == "1" && thousandths == 0:
		return 1000
	}
	return 0
}
