package streamhttp

import (
	"testing"

	"github.com/peal-dev/peal/message"
)

func FuzzOffset(f *testing.F) {
	for _, s := range []string{"0000000000000000_0000000000000000", "0001735689600000_0000000000000007", "-1", "now", "1_2", "+000000000000001_0000000000000002"} {
		f.Add(s, uint64(1), uint64(2), uint64(3))
	}
	f.Fuzz(func(t *testing.T, s string, a, b, c uint64) {
		if o, ok := parseOffset(s); ok && formatOffset(o) != s {
			t.Errorf("%q is read as %v, which is written %q", s, o, formatOffset(o))
		}
		const most = 1e16
		x, y := message.Offset{Ms: a % most, Seq: b % most}, message.Offset{Ms: b % most, Seq: c % most}
		if o, ok := parseOffset(formatOffset(x)); !ok || o != x {
			t.Errorf("%v is written %q and read as %v", x, formatOffset(x), o)
		}
		if (formatOffset(x) < formatOffset(y)) != (x.Compare(y) < 0) {
			t.Errorf("%v and %v are not in the order of %q and %q", x, y, formatOffset(x), formatOffset(y))
		}
	})
}
