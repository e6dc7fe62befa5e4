package chaos_test

import (
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testpostgres"
	"github.com/peal-dev/peal/interop/chaos"
	"github.com/peal-dev/peal/interop/wire"
)

// postgresFaults are those that a PostgreSQL has of its own.
var postgresFaults = []fault{
	{"restarted in good order", func(t *testing.T, _ *wire.Wire, o *chaos.Options) {
		s := testpostgres.Start(t)
		for range nodes {
			o.URLs = append(o.URLs, s.URL())
		}
		o.Fault = func() func() time.Time { s.Shutdown(); return ended(s.Restart) }
	}, gap},
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	play(t, wire.ByName("postgres"), postgresFaults)
}
