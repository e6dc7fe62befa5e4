package message_test

import (
	"testing"

	"github.com/peal-dev/peal/message"
)

func TestOffsetText(t *testing.T) {
	for text, want := range map[string]message.Offset{
		"0-0":             {},
		"1735689600000-7": {Ms: 1735689600000, Seq: 7},
		"18446744073709551615-18446744073709551615": {Ms: 1<<64 - 1, Seq: 1<<64 - 1},
	} {
		got, ok := message.ParseOffset(text)
		if !ok || got != want || got.String() != text {
			t.Errorf("%q is read as %v (%v)", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1-+2", "1- 2", "a-1", "1-18446744073709551616", "1_0-1", "0x1-1"} {
		if got, ok := message.ParseOffset(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestOffsetOrder(t *testing.T) {
	ordered := []message.Offset{{}, {Seq: 1}, {Ms: 1}, {Ms: 1, Seq: 9}, {Ms: 1, Seq: 10}, {Ms: 2}}
	for i, a := range ordered {
		if a.IsZero() != (i == 0) {
			t.Errorf("IsZero of %v is %v", a, a.IsZero())
		}
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%v compared to %v is %d, want %d", a, b, got, want)
			}
		}
	}
}

func FuzzParseOffset(f *testing.F) {
	for _, text := range []string{"0-0", "1735689600000-7", "1-", "-1", "+1-1", "01-02"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, ok := message.ParseOffset(text)
		if !ok {
			return
		}
		if again, ok := message.ParseOffset(o.String()); !ok || again != o {
			t.Fatalf("%q is read as %v, whose text %q is read as %v (%v)", text, o, o.String(), again, ok)
		}
	})
}
