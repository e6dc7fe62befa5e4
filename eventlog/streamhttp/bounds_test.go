package streamhttp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/peal-dev/peal/eventlog/memlog"
)

// What is kept for as long as a stream is there has a bound, and JSON is UTF-8 (RFC 8259, section 8.1).
func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), nil)
	s.want(400, "PUT", "type", "", "Content-Type", "text/"+strings.Repeat("a", 600))
	s.want(404, "HEAD", "type", "")
	s.want(201, "PUT", "json", `["a"]`, asIs...)
	s.want(400, "POST", "json", `1`, with(asIs, "Stream-Seq", strings.Repeat("z", 256))...)
	s.want(204, "POST", "json", `1`, with(asIs, "Stream-Seq", strings.Repeat("z", 255))...)
	s.want(400, "POST", "json", "\"caf\xe9\"", asIs...)
	s.want(400, "POST", "json", "[\"\xed\xa0\xbd\"]", asIs...)
	s.want(400, "PUT", "other", "[\"\xff\"]", asIs...)
	if _, body := s.want(200, "GET", "json", ""); body != `["a",1]` {
		t.Errorf("the stream has %q", body)
	}
}

// What has expired when it is made was made, and is not there.
func TestExpiredAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), nil)
	for _, life := range [][]string{{"Stream-TTL", "0"}, {"Stream-Expires-At", "2001-01-01T00:00:00Z"}} {
		for range 2 {
			s.want(201, "PUT", "short", "x", with(plain, life...)...)
			s.want(404, "GET", "short", "")
		}
	}
}

// A time may be written with any zone that RFC 3339 has; one that cannot be kept is refused.
func TestTimesOfExpiry(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), nil)
	s.want(201, "PUT", "day", "", "Stream-Expires-At", "2999-01-01T00:00:00+24:00")
	s.want(200, "GET", "day", "")
	for _, at := range []string{"0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+01:00", "soon"} {
		s.want(400, "PUT", "never", "", "Stream-Expires-At", at)
	}
}

// Forks of forks have a bound: each keeps the list of what it has parts of.
func TestForksOfForks(t *testing.T) {
	t.Parallel()
	s := serve(t, memlog.New(), nil)
	s.want(201, "PUT", "f0", "x", plain...)
	for i := 1; i <= 64; i++ {
		s.want(201, "PUT", fmt.Sprint("f", i), "x", "Stream-Forked-From", fmt.Sprint(prefix, "f", i-1))
	}
	s.want(400, "PUT", "f65", "x", "Stream-Forked-From", prefix+"f64")
	if _, body := s.want(200, "GET", "f64", ""); body != strings.Repeat("x", 65) {
		t.Errorf("the last fork has %q", body)
	}
}
