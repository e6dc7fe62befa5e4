package page_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/lab/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReplace(t *testing.T) {
	t.Parallel()
	const section = "## B\n\nnew\n"
	for document, want := range map[string]string{
		"# R\n":                               "# R\n\n## B\n\nnew\n",
		"# R\n\n## A\n\na\n":                  "# R\n\n## A\n\na\n\n## B\n\nnew\n",
		"# R\n\n## B\n\nold\n":                "# R\n\n## B\n\nnew\n",
		"# R\n\n## B\n\nold\n\n## C\n\nc\n":   "# R\n\n## B\n\nnew\n\n## C\n\nc\n",
		"# R\n\n## Bigger\n\nno\n\n## B\nold": "# R\n\n## Bigger\n\nno\n\n## B\n\nnew\n",
	} {
		got := page.Replace(document, section)
		if got != want {
			t.Errorf("%q became\n%q, want\n%q", document, got, want)
		}
		if again := page.Replace(got, section); again != got {
			t.Errorf("%q changed again to %q", got, again)
		}
	}
}

func TestSection(t *testing.T) {
	t.Parallel()
	const document = "# R\n\n## A\n\na\n\n## Bigger\n\nno\n\n## B\n\n### b\n"
	for heading, want := range map[string]string{
		"## A": "## A\n\na\n", "## Bigger": "## Bigger\n\nno\n", "## B": "## B\n\n### b\n", "## C": "", "## ": "", "# R": "# R\n",
	} {
		if got := page.Section(document, heading); got != want {
			t.Errorf("%s is %q, want %q", heading, got, want)
		}
	}
}
