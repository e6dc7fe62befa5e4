//go:build linux

package main

import "testing"

func TestReplaceSection(t *testing.T) {
	t.Parallel()
	const section = "## B\n\nnew\n"
	for document, want := range map[string]string{
		"# R\n":                               "# R\n\n## B\n\nnew\n",
		"# R\n\n## A\n\na\n":                  "# R\n\n## A\n\na\n\n## B\n\nnew\n",
		"# R\n\n## B\n\nold\n":                "# R\n\n## B\n\nnew\n",
		"# R\n\n## B\n\nold\n\n## C\n\nc\n":   "# R\n\n## B\n\nnew\n\n## C\n\nc\n",
		"# R\n\n## Bigger\n\nno\n\n## B\nold": "# R\n\n## Bigger\n\nno\n\n## B\n\nnew\n",
	} {
		got := replaceSection(document, section)
		if got != want {
			t.Errorf("%q became\n%q, want\n%q", document, got, want)
		}
		if again := replaceSection(got, section); again != got {
			t.Errorf("%q changed again to %q", got, again)
		}
	}
}

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
