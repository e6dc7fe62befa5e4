//go:build linux

package main

import "testing"

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestOver(t *testing.T) {
	t.Parallel()
	r := &result{Rounds: []round{{Last: 3}, {Last: 1}, {Last: 2}, {Last: 10}}}
	if median, least, greatest := r.over(func(b *round) float64 { return b.Last }); median != 2.5 || least != 1 || greatest != 10 {
		t.Error(median, least, greatest)
	}
}
