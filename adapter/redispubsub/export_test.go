package redispubsub

import (
	"testing"

	"github.com/peal-dev/peal/internal/redisx"
)

// newTestClient returns a client that never connects.
func newTestClient(t testing.TB) *redisx.Client {
	t.Helper()
	c, err := redisx.New(redisx.Options{URL: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
