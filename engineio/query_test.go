package engineio_test

import (
	"net/url"
	"testing"

	"github.com/peal-dev/peal/engineio"
)

// FuzzQuery holds the lookup against net/url's.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "EIO=4&transport=websocket", "sid=a&sid=b", "sid", "sid=%41%zz&sid=%42", "s%69d=x+y", "a;sid=1&sid=2;3", "&&sid==&", "=sid"} {
		f.Add(seed, "sid")
	}
	f.Fuzz(func(t *testing.T, raw, name string) {
		want, _ := url.ParseQuery(raw) // what it could read counts, as in (*url.URL).Query
		value, ok := engineio.Find(raw, name)
		values := want[name]
		if ok != (len(values) > 0) || ok && value != values[len(values)-1] || !ok && value != "" {
			t.Errorf("%q in %q: %q, %v; net/url has %q", name, raw, value, ok, values)
		}
	})
}
