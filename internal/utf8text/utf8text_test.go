package utf8text_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/utf8text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "plain": "plain", "é 😀": "é 😀", "caf\xe9": "caf\uFFFD", "\xf0\x9f\x98": "\uFFFD\uFFFD\uFFFD",
		"a\xffb\xffc": "a\uFFFDb\uFFFDc", "\xed\xa0\xbd": "\uFFFD\uFFFD\uFFFD", `"\ud83d"`: `"\ud83d"`, "\uFFFD": "\uFFFD",
	} {
		if got := string(utf8text.Bytes([]byte(in))); got != want {
			t.Errorf("Bytes(%q) = %q, want %q", in, got, want)
		}
		if got := utf8text.String(in); got != want {
			t.Errorf("String(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestSharesItsInput is not parallel: it counts allocations.
func TestSharesItsInput(t *testing.T) {
	in := []byte("no allocation where nothing is replaced")
	if n := testing.AllocsPerRun(100, func() { utf8text.Bytes(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "caf\xe9", "\xf0\x9f\x98\x80\xf0\x9f", "\xed\xa0\xbd\xed\xb8\x80", "\x00\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := utf8text.Bytes(b)
		if !utf8.Valid(got) || utf8.Valid(b) && !bytes.Equal(got, b) || !bytes.Equal(utf8text.Bytes(got), got) {
			t.Fatalf("Bytes(%q) = %q", b, got)
		}
		if want := string([]rune(string(b))); string(got) != want || utf8text.String(string(b)) != want {
			t.Fatalf("Bytes(%q) = %q, want %q", b, got, want)
		}
	})
}
